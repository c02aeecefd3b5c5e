import DequeModule

/// Events that Redis accepted a moment ago. If Redis is lost now, these events may be lost, too.
struct RecentEvents {
  private static let window = Duration.seconds(1)
  private static let most = 65_536
  private var entries: Deque<(time: ContinuousClock.Instant, receipt: Receipt)> = []

  mutating func add(_ receipt: Receipt, at time: ContinuousClock.Instant) {
    entries.append((time, receipt))
    while let first = entries.first, time - first.time > Self.window || entries.count > Self.most {
      entries.removeFirst()
    }
  }

  mutating func takeAll(at now: ContinuousClock.Instant) -> [Receipt] {
    defer { entries = [] }
    return entries.filter { now - $0.time <= Self.window }.map(\.receipt)
  }
}
