import Transport

/// The processor time of the calling thread, and how long it waited for a processor.
struct ThreadTime: Sendable, Equatable {
  var used = Duration.zero
  var waited = Duration.zero

  static var now: ThreadTime {
    ThreadTime(
      used: MonotonicTime.usedByThread,
      waited: SmallFile.contents(of: "/proc/thread-self/schedstat").flatMap(waiting(schedstat:)) ?? .zero)
  }

  /// The second of three numbers: nanoseconds on a run queue (Documentation/scheduler/sched-stats of Linux).
  static func waiting(schedstat text: String) -> Duration? {
    let fields = text.split(whereSeparator: { " \n".contains($0) })
    guard fields.count == 3, let waited = Int64(fields[1]) else { return nil }
    return .nanoseconds(waited)
  }

  static func - (later: ThreadTime, earlier: ThreadTime) -> ThreadTime {
    ThreadTime(used: later.used - earlier.used, waited: later.waited - earlier.waited)
  }
}
