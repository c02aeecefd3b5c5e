import Synchronization

/// The part of a budget that one holder has taken. Releasing the object gives it back.
///
/// Confined to one holder at a time: a channel's event loop, or the task of a request.
public final class MemoryShare: Sendable {
  private let budget: MemoryBudget
  /// Bytes that every holder may have without counting.
  private let free: Int
  private let taken = Atomic<Int>(0)

  public init(of budget: MemoryBudget, free: Int = 0) {
    self.budget = budget
    self.free = free
  }

  /// - Returns: nil if so much is not left.
  public convenience init?(_ size: Int, of budget: MemoryBudget) {
    self.init(of: budget)
    guard resize(to: size) else { return nil }
  }

  deinit {
    resize(to: 0)
  }

  /// Sets the share to the number of bytes that are held now.
  ///
  /// - Returns: false if the budget has no room for more; the share then stays unchanged. Reducing it always succeeds.
  @discardableResult
  public func resize(to bytes: Int) -> Bool {
    let old = taken.load(ordering: .relaxed)
    let new = max(bytes - free, 0)
    if new > old, !budget.take(new - old) { return false }
    if new < old { budget.give(old - new) }
    taken.store(new, ordering: .relaxed)
    return true
  }
}
