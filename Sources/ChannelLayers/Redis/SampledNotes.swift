/// Counts notes, so that the log has one line a second for each kind.
struct SampledNotes {
  private static let interval = Duration.seconds(1)
  private var last: [String: (time: ContinuousClock.Instant, others: Int)] = [:]

  /// - Returns: how many notes were left out before this one, or nil if this one is left out too.
  mutating func count(_ message: String, at now: ContinuousClock.Instant) -> Int? {
    guard let known = last[message], now - known.time < Self.interval else {
      let others = last[message]?.others ?? 0
      last[message] = (now, 0)
      return others
    }
    last[message]?.others += 1
    return nil
  }
}
