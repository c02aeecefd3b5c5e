/// Events that Redis accepted a moment ago. If Redis is lost now, these events may be lost, too.
struct RecentEvents {
  private static let window = Duration.seconds(1)
  private static let most = 65_536
  private var entries: [(time: ContinuousClock.Instant, receipt: Receipt)] = []
  private var first = 0

  mutating func add(_ receipt: Receipt, at time: ContinuousClock.Instant) {
    entries.append((time, receipt))
    while first < entries.count, time - entries[first].time > Self.window || entries.count - first > Self.most
    {
      first += 1
    }
    guard first > 1024, first * 2 > entries.count else { return }
    entries.removeFirst(first)
    first = 0
  }

  mutating func takeAll(at now: ContinuousClock.Instant) -> [Receipt] {
    defer {
      entries = []
      first = 0
    }
    return entries[first...].filter { now - $0.time <= Self.window }.map(\.receipt)
  }
}
