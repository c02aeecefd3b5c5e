/// Calls back once after a time on its reactor. It can be set again and cancelled any number of times, in constant time.
///
/// Coarse, and never early. The creator has to keep it: a timer that is released is not called.
public final class Timer {
  private let wheel: TimerWheel
  fileprivate let fire: () -> Void
  /// The tick at which it is due; nil while it is not set.
  fileprivate var dueTick: UInt64?
  /// Its place in the wheel's slot.
  fileprivate var index = 0

  init(wheel: TimerWheel, _ fire: @escaping () -> Void) {
    self.wheel = wheel
    self.fire = fire
  }

  deinit {
    precondition(dueTick == nil, "the wheel keeps a timer that is set")
  }

  /// Sets the timer, or sets it anew.
  public func schedule(after duration: Duration) {
    wheel.schedule(self, at: wheel.now() + duration)
  }

  public func schedule(at time: MonotonicTime) {
    wheel.schedule(self, at: time)
  }

  public func cancel() {
    wheel.remove(self)
  }

  /// When it is due, at the latest but for a tick; nil while it is not set.
  public var due: MonotonicTime? {
    dueTick.map { MonotonicTime(nanoseconds: $0 &* TimerWheel.tickNanoseconds) }
  }
}

/// All timers of a reactor, in slots of one tick each. A timer that is further away than one turn of the wheel stays in its
/// slot for several turns.
final class TimerWheel {
  static let tickNanoseconds: UInt64 = 16_000_000
  private static let slotCount: UInt64 = 512

  let now: () -> MonotonicTime
  private var slots: [[Timer]] = Array(repeating: [], count: Int(slotCount))
  /// All ticks up to and including this one are done.
  private var currentTick: UInt64
  private var count = 0
  /// No timer is due before this tick. The tick may be too early after a timer was cancelled.
  private var earliestTick = UInt64.max
  /// Timers that were due at `overdueTick`. Those from index `nextOverdue` on have not been called yet for lack of time.
  private var overdue: [Timer] = []
  private var nextOverdue = 0
  private var overdueTick: UInt64 = 0
  private static let timersPerLook = 16

  init(now: @escaping () -> MonotonicTime) {
    self.now = now
    currentTick = now().nanoseconds / Self.tickNanoseconds
  }

  /// When the next timer may be due; nil if no timer is set.
  var nextWakeUp: MonotonicTime? {
    if nextOverdue < overdue.count { return MonotonicTime(nanoseconds: 0) }
    return count == 0 ? nil : MonotonicTime(nanoseconds: earliestTick * Self.tickNanoseconds)
  }

  fileprivate func schedule(_ timer: Timer, at time: MonotonicTime) {
    remove(timer)
    // Rounded up, so that the timer is never early, and at least one tick ahead, because the current tick is done.
    let tick = max(currentTick + 1, time.nanoseconds / Self.tickNanoseconds + 1)
    timer.dueTick = tick
    let slot = Int(tick % Self.slotCount)
    timer.index = slots[slot].count
    slots[slot].append(timer)
    count += 1
    earliestTick = min(earliestTick, tick)
  }

  fileprivate func remove(_ timer: Timer) {
    guard let tick = timer.dueTick else { return }
    timer.dueTick = nil
    let slot = Int(tick % Self.slotCount)
    let last = slots[slot].removeLast()
    if last !== timer {
      last.index = timer.index
      slots[slot][timer.index] = last
    }
    count -= 1
  }

  /// Calls the timers that are due, in the order of their ticks.
  ///
  /// - Parameter limit: when this time is over, the rest waits for the next call; nil without a limit.
  func advance(to time: MonotonicTime, within limit: TimeLimit? = nil) {
    let target = time.nanoseconds / Self.tickNanoseconds
    // Most turns end here.
    guard target >= earliestTick || !overdue.isEmpty else {
      currentTick = max(currentTick, target)
      return
    }
    callDue(upTo: target, within: limit)
  }

  @inline(never)
  private func callDue(upTo target: UInt64, within limit: TimeLimit?) {
    var limit = limit
    guard callOverdue(&limit) else { return }
    guard target >= earliestTick else {
      currentTick = max(currentTick, target)
      return
    }
    // After a long sleep, one turn of the wheel covers every slot.
    var tick = max(min(earliestTick, target), target >= Self.slotCount ? target - Self.slotCount + 1 : 0)
    while tick <= target, count > 0 {
      let slot = Int(tick % Self.slotCount)
      overdue += slots[slot].filter { ($0.dueTick ?? .max) <= target }
      tick += 1
    }
    currentTick = max(currentTick, target)
    overdue.sort { ($0.dueTick ?? 0) < ($1.dueTick ?? 0) }
    overdueTick = target
    _ = callOverdue(&limit)
    findEarliest()
  }

  /// - Returns: whether all of them could be called in time.
  private func callOverdue(_ limit: inout TimeLimit?) -> Bool {
    while nextOverdue < overdue.count {
      let timer = overdue[nextOverdue]
      nextOverdue += 1
      // One that was called earlier may have cancelled or set this one again.
      if let tick = timer.dueTick, tick <= overdueTick {
        remove(timer)
        timer.fire()
      }
      if nextOverdue % Self.timersPerLook == 0, limit?.isOver() == true, nextOverdue < overdue.count {
        return false
      }
    }
    overdue = []
    nextOverdue = 0
    return true
  }

  private func findEarliest() {
    earliestTick = .max
    guard count > 0 else { return }
    for offset in 1...Self.slotCount {
      let tick = currentTick + offset
      guard !slots[Int(tick % Self.slotCount)].isEmpty else { continue }
      // The timer may be due in a later turn of the wheel. Waking up for it once a turn does no harm.
      earliestTick = tick
      return
    }
  }

  /// Removes all timers when the reactor ends. They may still be cancelled.
  func removeAll() {
    for slot in slots {
      for timer in slot { timer.dueTick = nil }
    }
    slots = []
    overdue = []
    nextOverdue = 0
    count = 0
  }
}
