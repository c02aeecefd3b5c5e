/// How much work the analyses of a table of routes may still take.
///
/// Without a budget, a hostile or unlucky pattern could take minutes. All questions about a table share one budget; each
/// question draws on it through its own share, so that one question cannot use up the work of the others.
package final class WorkBudget {
  private(set) var left: Int
  private let whole: WorkBudget?

  package init(_ steps: Int, of whole: WorkBudget? = nil) {
    left = steps
    self.whole = whole
  }

  /// The work for all analyses of a table together.
  package static func forAnalyses(of routeCount: Int) -> WorkBudget {
    WorkBudget(10_000_000 + 2_000 * routeCount)
  }

  /// - Returns: false if that much is not left.
  func spend(_ steps: Int = 1) -> Bool {
    guard steps <= left, whole?.spend(steps) ?? true else {
      left = 0
      return false
    }
    left -= steps
    return true
  }

  /// A part for one question. Its work is also subtracted from the whole.
  package func share(_ steps: Int = 1_000_000) -> WorkBudget { WorkBudget(steps, of: self) }
}
