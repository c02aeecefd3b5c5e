package import GatewayConfig
package import Routing

/// Which groups of a layer keep a history, and how much: decided by a group's name, so that it is the same for whoever
/// publishes to it, in every process, and also while nobody is in it.
package struct HistoryRules: Sendable {
  private struct Rule: Sendable {
    var pattern: GroupPattern
    var limits: HistoryConfiguration
  }

  private var rules: [Rule] = []

  package init() {}

  /// Takes every name that the template can produce.
  package mutating func add(_ template: GroupPattern, _ limits: HistoryConfiguration) {
    rules.append(Rule(pattern: GroupPattern(anyOf: template), limits: limits))
  }

  package var isEmpty: Bool { rules.isEmpty }

  /// - Returns: nil for a group that keeps none; where several rules fit, the larger of each limit.
  package func limits(of group: String) -> HistoryConfiguration? {
    rules.reduce(nil) { found, rule in
      guard rule.pattern.matches(group) else { return found }
      return found?.union(rule.limits) ?? rule.limits
    }
  }
}
