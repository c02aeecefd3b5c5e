import Synchronization

/// A bound over the whole process, mostly on memory. Code that holds memory takes it from here, and gives it back.
///
/// Can be called from any thread; each call is an atomic operation on one shared counter. Counting for each message goes
/// through a `MemoryAllowance`, which takes whole blocks from here.
public final class MemoryBudget: Sendable {
  /// In bytes, or in what else is counted.
  public let total: Int
  private let sum = Atomic<Int>(0)
  /// Whether an allowance with less than its fair share got nothing. The others are asked to give back what exceeds their share.
  fileprivate let isShort = Atomic<Bool>(false)
  fileprivate let gauges = Mutex<[Gauge]>([])

  /// The count of one allowance, for others to read.
  fileprivate final class Gauge: Sendable {
    let used = Atomic<Int>(0)
  }

  public init(total: Int) {
    self.total = total
  }

  /// Bytes that are taken now, whole blocks of allowances included.
  public var taken: Int { sum.load(ordering: .relaxed) }

  /// Bytes that all allowances together currently count.
  public var used: Int {
    gauges.withLock { $0.reduce(0) { $0 + $1.used.load(ordering: .relaxed) } }
  }

  /// - Returns: false if so much is not left; then nothing is taken.
  public func take(_ bytes: Int) -> Bool {
    takeMost(of: bytes, atLeast: bytes) == bytes
  }

  /// Takes as much of the bytes as is left.
  ///
  /// - Returns: the number of bytes taken; 0 if that would be less than `least`.
  func takeMost(of bytes: Int, atLeast least: Int = 0) -> Int {
    var current = sum.load(ordering: .relaxed)
    while true {
      let taken = max(0, min(bytes, total - current))
      guard taken >= least else { return 0 }
      let (isDone, original) = sum.weakCompareExchange(
        expected: current, desired: current + taken, ordering: .relaxed)
      if isDone { return taken }
      current = original
    }
  }

  public func give(_ bytes: Int) {
    sum.subtract(bytes, ordering: .relaxed)
  }

  /// Whether a shortage was reported since the last call.
  func takeShortage() -> Bool {
    isShort.load(ordering: .relaxed) && isShort.exchange(false, ordering: .relaxed)
  }
}

/// One reactor's part of a `MemoryBudget`. It takes memory in blocks, so that no counter is shared for each message.
///
/// Confined to its reactor. Counting never fails: the counted memory is already in use, and `isOver` says that some of it has
/// to be freed. Half of the budget is divided among all allowances for good, so that one hoarding allowance leaves the others
/// something.
public final class MemoryAllowance {
  private static let largestBlock = 256 * 1024

  private let budget: MemoryBudget
  /// The part of the budget that this allowance keeps whether it uses it or not.
  private let floor: Int
  /// The most that this allowance may keep when others need memory.
  private let fairShare: Int
  private let block: Int
  /// Bytes taken from the budget.
  private var held: Int
  /// Counted by the reactor, in bytes.
  public private(set) var used = 0 {
    didSet { gauge.used.store(used, ordering: .relaxed) }
  }
  private let gauge = MemoryBudget.Gauge()

  /// - Parameter count: how many allowances the budget has.
  public init(of budget: MemoryBudget, among count: Int) {
    self.budget = budget
    fairShare = budget.total / count
    let floor = fairShare / 2
    self.floor = budget.take(floor) ? floor : 0
    block = max(4096, min(Self.largestBlock, fairShare / 8))
    held = self.floor
    budget.gauges.withLock { $0.append(gauge) }
  }

  deinit {
    budget.gauges.withLock { $0.removeAll { $0 === gauge } }
    budget.give(held)
  }

  /// Whether more is counted than the budget gave.
  public var isOver: Bool { used > held }

  /// Counts memory that is in use from now on.
  public func add(_ bytes: Int) {
    used += bytes
    if used > held { grow() }
  }

  /// Subtracts memory that was freed.
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
    if isOver, held < fairShare { budget.isShort.store(true, ordering: .relaxed) }
  }

  /// The count to reach by closing the holders of the oldest bytes; nil if none has to be closed.
  ///
  /// The target is somewhat below the limit, so that the holders are not chosen again for each message.
  public func target() -> Int? {
    if isOver { return held / 8 * 7 }
    guard held > fairShare, budget.takeShortage() else { return nil }
    return fairShare / 8 * 7
  }
}
