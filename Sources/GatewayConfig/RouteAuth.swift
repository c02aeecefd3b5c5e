package import JSON
package import Routing

/// The `auth:`, `auth_optional:` and `require:` that hold for one route.
package struct RouteAuth: Sendable, Hashable {
  /// The index in `Configuration.authenticators`.
  package var authenticator: Int
  package var name: String
  /// What its users can be called; nil for any text.
  package var userType: UserType?
  /// Whether clients without a token are admitted, as anonymous clients.
  package var isOptional = false
  /// All of these must be fulfilled.
  package var requirements: [Requirement] = []
  /// What is asked about a client once it is known who it is; nil if nothing is.
  package var permission: PermissionConfiguration?
  /// A callback that is asked about a place of the path: it admits others at another place. Nil for any other authenticator.
  package var placedCallback: QuestionConfiguration?
  /// The captures of `<path:NAME>`: each may be several segments of a question's URL.
  package var longCaptures: Set<String> = []
}

extension JSON {
  /// A claim by its name, or by the names of the objects around it: `realm.roles`.
  package func claim(_ name: String) -> JSON? {
    if let value = self[name] { return value }
    guard let dot = name.firstIndex(of: ".") else { return nil }
    return self[String(name[..<dot])]?.claim(String(name[name.index(after: dot)...]))
  }
}

extension RouteAuth: CustomStringConvertible {
  /// For tables: `site, role = admin or staff, permission of http://127.0.0.1:8001/may/`.
  package var description: String {
    let all = [name + (isOptional ? " (optional)" : "")] + requirements.map(\.description)
    let permission = permission.map { "permission of \($0.question.shownURL)" }
    return (all + [permission].compactMap(\.self)).joined(separator: ", ")
  }
}
