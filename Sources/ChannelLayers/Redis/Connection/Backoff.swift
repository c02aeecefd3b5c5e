/// How long to wait before the next try: longer each time, and never the same for two processes.
struct Backoff {
  private static let first = Duration.milliseconds(100)
  private static let longest = Duration.seconds(5)

  private var next = Self.first

  /// From half of the wait to all of it.
  mutating func wait() -> Duration {
    defer { next = min(next * 2, Self.longest) }
    return next * Double.random(in: 0.5...1)
  }

  mutating func reset() {
    next = Self.first
  }
}
