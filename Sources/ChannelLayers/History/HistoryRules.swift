package import GatewayConfig
package import Routing

/// Which groups of a layer keep a history, and how much: decided by a group's name, so that it is the same for whoever
/// publishes to it, in every process, and also while nobody is in it.
package struct HistoryRules: Sendable {
  private struct Rule: Sendable {
    var template: GroupTemplate
    var limits: HistoryConfiguration
  }

  private var rules: [Rule] = []

  package init() {}

  /// Takes every name that the template can produce.
  package mutating func add(_ template: GroupTemplate, _ limits: HistoryConfiguration) {
    rules.append(Rule(template: template, limits: limits))
  }

  package var isEmpty: Bool { rules.isEmpty }

  /// - Returns: nil for a group that keeps none; where several rules fit, the larger of each limit.
  package func limits(of group: String) -> HistoryConfiguration? {
    rules.reduce(nil) { found, rule in
      guard rule.template.canProduce(group) else { return found }
      return found?.union(rule.limits) ?? rule.limits
    }
  }
}

extension GroupTemplate {
  /// Whether some captures make this name of it: each place stands for one or more legal characters.
  ///
  /// In time linear in the name for each part, whatever the name is.
  func canProduce(_ name: String) -> Bool {
    let bytes = Array(name.utf8)
    // Where what was read so far can end.
    var ends = [Bool](repeating: false, count: bytes.count + 1)
    ends[0] = true
    for part in parts {
      var next = [Bool](repeating: false, count: bytes.count + 1)
      switch part {
      case .literal(let text):
        let literal = Array(text.utf8)
        for start in ends.indices where ends[start] && bytes[start...].starts(with: literal) {
          next[start + literal.count] = true
        }
      case .capture:
        var isInside = false
        for index in bytes.indices {
          isInside = Self.isLegal(bytes[index]) && (isInside || ends[index])
          next[index + 1] = isInside
        }
      }
      ends = next
    }
    return ends[bytes.count]
  }
}
