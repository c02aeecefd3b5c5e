import Transport

/// How long to wait before the next try: longer each time, and never the same for two processes.
struct Backoff {
  private static let first = Duration.milliseconds(100)
  private static let longest = Duration.seconds(5)
  /// A try that is good for less than this is followed as if it had failed: a server that lets everybody in and throws them out again
  /// would be tried ten times a second, with two lines each time.
  private static let settled = Duration.seconds(1)

  private var next = Self.first
  /// When the last wait was to be over.
  private var lastTry = MonotonicTime.now

  /// From half of the wait to all of it.
  mutating func wait() -> Duration {
    let time = next * Double.random(in: 0.5...1)
    next = min(next * 2, Self.longest)
    lastTry = MonotonicTime.now + time
    return time
  }

  /// The last try was good, and has come to its end.
  mutating func reset(at now: MonotonicTime = .now) {
    if now >= lastTry + Self.settled { next = Self.first }
  }
}
