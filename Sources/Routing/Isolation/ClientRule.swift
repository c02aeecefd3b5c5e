package import Bytes

/// A rule about the claims of clients, as the proof of isolation compares it with those of other routes.
package indirect enum ClientRule: Sendable, Hashable {
  /// The claim is one of the values, or a list with one of them.
  case claim(ExactText, Set<ExactText>)
  case any(Set<ClientRule>)
  case all(Set<ClientRule>)
  /// Any other rule, in words. It says the same only on the same route, or about the same place.
  case other(ExactText, route: RulePlace)

  /// All rules of the clients that a route admits.
  static func rules(_ require: [ExactText: Set<ExactText>], _ also: Set<ClientRule>) -> Set<ClientRule> {
    also.union(require.map { .claim($0, $1) })
  }
}

/// Where a rule says the same.
package struct RulePlace: Sendable, Hashable {
  /// An identification of the route.
  private var route: ExactText
  /// How the names of the groups are made, if each name says what the rule is about: whoever else makes them so is asked the same.
  private var names: ExactText?

  package init(route: String, names: String? = nil) {
    self.route = ExactText(text: route)
    self.names = names.map(ExactText.init(text:))
  }

  fileprivate func isSame(_ other: RulePlace) -> Bool {
    route == other.route || names != nil && names == other.names
  }
}

extension RulePlace: ExpressibleByStringLiteral {
  package init(stringLiteral route: String) {
    self.init(route: route)
  }
}

extension Set<ClientRule> {
  /// Whether a client by all these rules is one by the other rule too. Of rules with alternatives one is taken apart, which is enough for
  /// what people write.
  func imply(_ rule: ClientRule) -> Bool {
    if implyDirectly(rule) { return true }
    return contains { own in
      guard case .any(let alternatives) = own else { return false }
      let rest = subtracting([own])
      return alternatives.allSatisfy { rest.union($0.parts).implyDirectly(rule) }
    }
  }

  private func implyDirectly(_ rule: ClientRule) -> Bool {
    if contains(rule) { return true }
    return switch rule {
    case .claim(let claim, let values):
      contains { if case .claim(claim, let own) = $0 { own.isSubset(of: values) } else { false } }
    case .all(let parts): parts.allSatisfy(implyDirectly)
    case .any(let alternatives): alternatives.contains(where: implyDirectly)
    case .other(let words, let place):
      contains { if case .other(words, let own) = $0 { own.isSame(place) } else { false } }
    }
  }
}

extension ClientRule {
  /// The rules that hold where this one does.
  fileprivate var parts: Set<ClientRule> {
    guard case .all(let parts) = self else { return [self] }
    return parts.reduce(into: []) { $0.formUnion($1.parts) }
  }
}

extension ClientRule: CustomStringConvertible {
  /// For sentences: `role = admin or staff`.
  package var description: String {
    switch self {
    case .claim(let claim, let values):
      "\(claim.text) = \(values.map(\.text).sorted().joined(separator: " or "))"
    case .any(let rules): "any of (\(rules.map(\.description).sorted().joined(separator: "; ")))"
    case .all(let rules): "all of (\(rules.map(\.description).sorted().joined(separator: "; ")))"
    case .other(let words, _): words.text
    }
  }
}
