/// A limit on time that begins when it is first checked, so that work which ends sooner never reads the clock.
struct TimeLimit {
  /// The time of one connection before the others have their turn.
  static var slice: TimeLimit { TimeLimit(nanoseconds: 100_000) }
  /// For the connections with work left, in one turn.
  static var ready: TimeLimit { TimeLimit(nanoseconds: 500_000) }
  /// For the events that the system has reported, in one turn. The remaining events come first in the next turn.
  static var events: TimeLimit { TimeLimit(nanoseconds: 2_000_000) }
  /// For timers that are due, in one turn.
  static var timers: TimeLimit { TimeLimit(nanoseconds: 1_000_000) }
  /// For sending, and for telling handlers that their connection is closed, at the end of a turn.
  static var endOfTurn: TimeLimit { TimeLimit(nanoseconds: 2_000_000) }

  private let nanoseconds: UInt64
  /// On the clock of `MonotonicTime`; 0 until it begins.
  private var end: UInt64 = 0

  init(nanoseconds: UInt64) {
    self.nanoseconds = nanoseconds
  }

  /// Starts the limit anew at the next check.
  mutating func reset() {
    end = 0
  }

  var hasBegun: Bool { end != 0 }

  /// - Returns: false at the first check.
  mutating func isOver() -> Bool {
    let now = MonotonicTime.now.nanoseconds
    guard end != 0 else {
      end = now &+ nanoseconds
      return false
    }
    return now >= end
  }
}
