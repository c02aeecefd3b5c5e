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

  /// Whether another value admits the same clients, as far as the route says it: the entry of `auth` is known by its name.
  package func continues(_ other: RouteAuth) -> Bool {
    name == other.name && isOptional == other.isOptional && requirements == other.requirements
  }
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
  /// For tables: `site, role = admin or staff`.
  package var description: String {
    let all = [name + (isOptional ? " (optional)" : "")] + requirements.map(\.description)
    return all.joined(separator: ", ")
  }
}
