/// A text for names of groups, with places for a route's captures and for the client's identity: `chat_{room}`, `user_{user}`.
///
/// In a pattern, `*` stands for any characters, or none: `ticker_*`. A template is a pattern without `*`, and so names one group for
/// each session, or one for each element of a list that the client's identity has.
package struct GroupPattern: Sendable, Hashable {
  package enum Part: Sendable, Hashable {
    case literal(String)
    /// What the route captures under that name.
    case capture(String, Form = .plain)
    /// A field of the client's identity: `user`, or `claims.NAME`. Any name that is not empty.
    case identity(String, Form = .plain)
    /// `<int:id>`: any text that the converter takes. Only in the groups that a view's answer may name.
    case converted(PathConverter, name: String)
    /// `*`: any run of characters, also none.
    case anything
  }

  /// How a value stands in a name.
  package enum Form: Sendable, Hashable {
    /// As it is, so that some values lead to no name.
    case plain
    /// `{user|escaped}`: by `GroupName.escaped`.
    case escaped
  }

  package var parts: [Part]

  package init(parts: [Part]) {
    self.parts = parts
  }

  /// The places of `{user}` and `{claims.NAME}`.
  package static let user = "user"
  package static let claimPrefix = "claims."

  /// What follows the name of a place whose value is escaped.
  static let escapedMark = "|escaped"

  /// A pattern for all groups that a template can name, whatever its places are filled with.
  package init(anyOf template: GroupPattern) {
    parts = template.parts.map { part in
      if case .literal(let text) = part { .literal(text) } else { .anything }
    }
  }

  /// As the operator wrote it.
  package var text: String {
    parts.map { part in
      switch part {
      case .literal(let text): text
      case .capture(let name, .plain), .identity(let name, .plain): "{\(name)}"
      case .capture(let name, .escaped), .identity(let name, .escaped): "{\(name)\(Self.escapedMark)}"
      case .converted(let converter, let name): "<\(converter):\(name)>"
      case .anything: "*"
      }
    }.joined()
  }

  package var captureNames: [String] {
    parts.compactMap { if case .capture(let name, _) = $0 { name } else { nil } }
  }

  /// The captures that have to be valid names themselves.
  var plainCaptureNames: Set<String> {
    Set(parts.compactMap { if case .capture(let name, .plain) = $0 { name } else { nil } })
  }

  /// The identity fields that separate the groups of different clients.
  package var identityFields: [String] {
    parts.compactMap { if case .identity(let field, _) = $0 { field } else { nil } }
  }

  /// Whether the name depends on the client's identity.
  package var isPersonal: Bool { !identityFields.isEmpty }

  /// Whether it stands for several groups of one client, whatever fills its places.
  var hasManyNames: Bool {
    parts.contains { part in
      switch part {
      case .converted, .anything: true
      case .literal, .capture, .identity: false
      }
    }
  }

  /// The same pattern with `{user}` as the client's user instead of a capture of that name.
  package var withUser: GroupPattern {
    let parts = parts.map { part in
      if case .capture(Self.user, let form) = part { Part.identity(Self.user, form) } else { part }
    }
    return GroupPattern(parts: parts)
  }
}
