import Transport

/// How long to wait before the next attempt: longer each time, and different for each process.
struct Backoff {
  private static let first = Duration.milliseconds(100)
  private static let longest = Duration.seconds(5)
  /// A connection that lasts less than this counts as a failure. Otherwise a server that accepts and drops every connection
  /// would be tried ten times a second, with two log lines each time.
  private static let settled = Duration.seconds(1)

  private var next = Self.first
  /// When the last wait was supposed to end or, if that was later, when the server answered.
  private var start = MonotonicTime.now

  /// Between half of the wait and all of it.
  mutating func wait(at now: MonotonicTime = .now) -> Duration {
    let time = next * Double.random(in: 0.5...1)
    next = min(next * 2, Self.longest)
    start = now + time
    return time
  }

  /// The last attempt succeeded. How long its connection lasts counts from here, because an attempt may take long.
  mutating func answered(at now: MonotonicTime) {
    start = max(start, now)
  }

  /// The connection of the last attempt, which succeeded, has ended.
  mutating func reset(at now: MonotonicTime = .now) {
    if now >= start + Self.settled { next = Self.first }
  }
}
