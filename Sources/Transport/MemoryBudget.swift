import Synchronization

/// A bound on memory over the whole process: who wants to hold some takes it from here, and gives it back.
///
/// Callable from any thread; each call is an atomic operation on one shared counter. What is counted for each message goes
/// through a `MemoryAllowance`, which calls here once for a block.
public final class MemoryBudget: Sendable {
  /// In bytes.
  public let total: Int
  private let sum = Atomic<Int>(0)
  private let isShort = Atomic<Bool>(false)

  public init(total: Int) {
    self.total = total
  }

  /// Bytes that are taken now, whole blocks of allowances included.
  public var taken: Int { sum.load(ordering: .relaxed) }

  /// - Returns: false where so much is not left; then nothing is taken.
  public func take(_ bytes: Int) -> Bool {
    var current = sum.load(ordering: .relaxed)
    while bytes <= total - current {
      let (isDone, original) = sum.weakCompareExchange(
        expected: current, desired: current + bytes, ordering: .relaxed)
      if isDone { return true }
      current = original
    }
    return false
  }

  public func give(_ bytes: Int) {
    sum.subtract(bytes, ordering: .relaxed)
  }

  /// Somebody with less than its fair share was refused: those with more are asked to let go of some.
  func reportShortage() {
    isShort.store(true, ordering: .relaxed)
  }

  /// Whether a shortage was reported since the last call.
  func takeShortage() -> Bool {
    isShort.load(ordering: .relaxed) && isShort.exchange(false, ordering: .relaxed)
  }
}

/// One reactor's part of a `MemoryBudget`, taken in blocks so that no counter is shared for each message.
///
/// Confined to its reactor. Counting never fails: what is counted is held already, and `isOver` says that some of it has
/// to go. Half of the budget is dealt out to all allowances for good, so that one that hoards leaves the others something.
public final class MemoryAllowance {
  private static let largestBlock = 256 * 1024

  private let budget: MemoryBudget
  /// What it keeps whether it is used or not.
  private let floor: Int
  /// What it may keep when others are short.
  private let fairShare: Int
  private let block: Int
  /// Taken from the budget.
  private var held: Int
  /// Counted by the reactor, in bytes.
  public private(set) var used = 0

  /// - Parameter count: how many allowances the budget has.
  public init(of budget: MemoryBudget, among count: Int) {
    self.budget = budget
    fairShare = budget.total / count
    let floor = fairShare / 2
    self.floor = budget.take(floor) ? floor : 0
    block = max(4096, min(Self.largestBlock, fairShare / 8))
    held = self.floor
  }

  deinit {
    budget.give(held)
  }

  /// Whether more is counted than the budget gave.
  public var isOver: Bool { used > held }

  /// Counts what is now held.
  public func add(_ bytes: Int) {
    used += bytes
    if used > held { grow() }
  }

  /// No longer counts what was let go of.
  public func subtract(_ bytes: Int) {
    used -= bytes
    let kept = max(floor, used + block)
    guard held > kept + block else { return }
    budget.give(held - kept)
    held = kept
  }

  private func grow() {
    let missing = used - held
    let blocks = (missing + block - 1) / block * block
    if budget.take(blocks) {
      held += blocks
    } else if budget.take(missing) {
      held += missing
    } else if held < fairShare {
      budget.reportShortage()
    }
  }

  /// How much may be counted once the holders of the oldest have gone; nil where nobody has to.
  ///
  /// Somewhat less than is allowed, so that choosing them is not repeated for each message.
  public func target() -> Int? {
    if isOver { return held / 8 * 7 }
    guard held > fairShare, budget.takeShortage() else { return nil }
    return fairShare / 8 * 7
  }

  /// Whether it has more than it may keep when others are short.
  public var isHoarding: Bool { held > fairShare }
}
