package import Transport

/// The wait of one reader for a copy of a history that has not reached the reader's position yet.
///
/// A copy usually lags by milliseconds, and longer while Redis or a reactor is busy. After `longest` the position counts as lost,
/// and the reader gets a gap.
package struct LaggingCopy: Sendable {
  package static let longest = Duration.seconds(2)
  private static let shortestPause = Duration.milliseconds(10)

  private let longest: Duration
  private var since: MonotonicTime?

  package init(longest: Duration = Self.longest) {
    self.longest = longest
  }

  /// - Returns: the time until the next read; nil if the reader stops waiting. The pauses double, and their sum does not exceed
  ///   `longest`.
  package mutating func pause(before slice: HistorySlice, at now: MonotonicTime = .now) -> Duration? {
    guard slice.isAhead else { return nil }
    let waited = now.since(since ?? now)
    since = since ?? now
    return waited < longest ? min(max(Self.shortestPause, waited), longest - waited) : nil
  }
}
