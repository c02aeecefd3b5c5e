package import GatewayConfig
package import Routing

/// Decides which groups of a layer keep a history, and how much. The decision depends only on the group's name, so it is the same
/// for every publisher, in every process, and for a group without members.
package struct HistoryRules: Sendable {
  private var rules: [(pattern: GroupPattern, limits: HistoryConfiguration)] = []

  package init() {}

  /// Adds a rule for every name that the template can produce.
  package mutating func add(_ template: GroupPattern, _ limits: HistoryConfiguration) {
    rules.append((GroupPattern(anyOf: template), limits))
  }

  package var isEmpty: Bool { rules.isEmpty }

  /// - Returns: the limits of the group's history; the larger of each limit if several rules match; nil if the group keeps no
  ///   history.
  package func limits(of group: String) -> HistoryConfiguration? {
    rules.reduce(nil) { found, rule in
      guard rule.pattern.matches(group) else { return found }
      return found?.union(rule.limits) ?? rule.limits
    }
  }
}
