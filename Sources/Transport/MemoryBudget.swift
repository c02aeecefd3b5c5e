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
  private let gauges = Mutex<[Gauge]>([])

  /// What one allowance counts, for others to read.
  fileprivate final class Gauge: Sendable {
    let used = Atomic<Int>(0)
  }

  public init(total: Int) {
    self.total = total
  }

  /// Bytes that are taken now, whole blocks of allowances included.
  public var taken: Int { sum.load(ordering: .relaxed) }

  /// Bytes that all allowances together count as held just now.
  public var used: Int {
    gauges.withLock { $0.reduce(0) { $0 + $1.used.load(ordering: .relaxed) } }
  }

  fileprivate func addGauge() -> Gauge {
    let gauge = Gauge()
    gauges.withLock { $0.append(gauge) }
    return gauge
  }

  fileprivate func remove(_ gauge: Gauge) {
    gauges.withLock { $0.removeAll { $0 === gauge } }
  }

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

  /// Takes as much of it as is left.
  ///
  /// - Returns: how much that was.
  func takeMost(of bytes: Int) -> Int {
    var current = sum.load(ordering: .relaxed)
    while true {
      let taken = max(0, min(bytes, total - current))
      let (isDone, original) = sum.weakCompareExchange(
        expected: current, desired: current + taken, ordering: .relaxed)
      if isDone { return taken }
      current = original
    }
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
  public private(set) var used = 0 {
    didSet { gauge.used.store(used, ordering: .relaxed) }
  }
  private let gauge: MemoryBudget.Gauge

  /// - Parameter count: how many allowances the budget has.
  public init(of budget: MemoryBudget, among count: Int) {
    self.budget = budget
    fairShare = budget.total / count
    let floor = fairShare / 2
    self.floor = budget.take(floor) ? floor : 0
    block = max(4096, min(Self.largestBlock, fairShare / 8))
    held = self.floor
    gauge = budget.addGauge()
  }

  deinit {
    budget.remove(gauge)
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
    held += budget.takeMost(of: blocks)
    if isOver, held < fairShare { budget.reportShortage() }
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
