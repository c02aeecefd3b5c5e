import Transport

/// The wait of one reader for a copy of a history that has not reached the reader's position.
///
/// A copy lags by milliseconds, or by as long as Redis or a reactor is busy. After `longest` the position is taken for one that the
/// history has lost, and the reader is told of a gap.
package struct LaggingCopy: Sendable {
  package static let longest = Duration.seconds(2)
  private static let shortestPause = Duration.milliseconds(10)

  private let longest: Duration
  private var since: MonotonicTime?

  package init(longest: Duration = Self.longest) {
    self.longest = longest
  }

  /// - Returns: after how long to read again; nil where the reader waits no more. The pauses double, and all together they do not
  ///   exceed `longest`.
  package mutating func pause(before slice: HistorySlice) -> Duration? {
    pause(before: slice, at: .now)
  }

  mutating func pause(before slice: HistorySlice, at now: MonotonicTime) -> Duration? {
    guard slice.isAhead else { return nil }
    let waited = now.since(since ?? now)
    since = since ?? now
    return waited < longest ? min(max(Self.shortestPause, waited), longest - waited) : nil
  }
}
