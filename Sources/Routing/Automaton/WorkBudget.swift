/// How much may still be worked out about a table of routes.
///
/// What no budget bounds, a hostile or unlucky pattern can make take minutes. One is shared by all questions about a table;
/// each question draws on it through a share of its own, so that one cannot use up what the others need.
package final class WorkBudget {
  private(set) var left: Int
  private let whole: WorkBudget?

  package init(_ steps: Int) {
    left = steps
    whole = nil
  }

  private init(_ steps: Int, of whole: WorkBudget) {
    left = steps
    self.whole = whole
  }

  /// What all analyses of a table together may take.
  package static func forAnalyses(of routeCount: Int) -> WorkBudget {
    WorkBudget(10_000_000 + 2_000 * routeCount)
  }

  /// - Returns: false where that much is not left.
  func spend(_ steps: Int = 1) -> Bool {
    guard steps <= left else {
      left = 0
      return false
    }
    left -= steps
    guard whole?.spend(steps) ?? true else {
      left = 0
      return false
    }
    return true
  }

  /// A part for one question; what it spends is spent of the whole too.
  func share(_ steps: Int = 1_000_000) -> WorkBudget { WorkBudget(steps, of: self) }
}
