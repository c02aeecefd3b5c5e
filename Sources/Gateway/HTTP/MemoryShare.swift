import Synchronization
import Transport

/// What one holder has taken of a memory budget; given back when nothing refers to it any more.
///
/// Confined to one holder at a time: a channel's event loop, or the task of a request.
final class MemoryShare: Sendable {
  private let budget: MemoryBudget
  /// Bytes that every holder has without asking.
  private let free: Int
  private let taken = Atomic<Int>(0)

  init(of budget: MemoryBudget, free: Int = 0) {
    self.budget = budget
    self.free = free
  }

  deinit {
    resize(to: 0)
  }

  /// Makes the share as large as what is held now.
  ///
  /// - Returns: false where the budget has no room for more; then the share stays as it was. Making it smaller succeeds always.
  @discardableResult
  func resize(to bytes: Int) -> Bool {
    let old = taken.load(ordering: .relaxed)
    let new = max(bytes - free, 0)
    if new > old {
      guard budget.take(new - old) else { return false }
    } else if new < old {
      budget.give(old - new)
    } else {
      return true
    }
    taken.store(new, ordering: .relaxed)
    return true
  }
}
