/// A part of a template or a pattern for group names.
package enum GroupNamePart: Sendable, Hashable {
  case literal(String)
  /// What the route captures under that name.
  case capture(String)
  /// A field of the client's identity: `user`, or `claims.NAME`.
  case identity(String)
  /// `*` in a pattern: any characters, or none. A template has no such part.
  case anything
}

extension [GroupNamePart] {
  /// As the operator wrote them.
  package var text: String {
    map { part in
      switch part {
      case .literal(let text): text
      case .capture(let name), .identity(let name): "{\(name)}"
      case .anything: "*"
      }
    }.joined()
  }

  package var captureNames: [String] {
    compactMap { if case .capture(let name) = $0 { name } else { nil } }
  }

  /// The fields of the identity that separate the groups of different clients.
  package var identityFields: [String] {
    compactMap { if case .identity(let field) = $0 { field } else { nil } }
  }

  /// The same parts with `{user}` as the client's user instead of a capture of that name.
  package var withUser: [GroupNamePart] {
    map { $0 == .capture(GroupTemplate.user) ? .identity(GroupTemplate.user) : $0 }
  }
}
