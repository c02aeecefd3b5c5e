import Transport

/// When a question is asked again that has got no answer. A pure value, one for each question.
struct ViewRetries: Sendable, Equatable {
  private let repeating: ViewTerms.Repeating
  private let patience: Duration
  private let pauses: Backoff
  private(set) var failures = 0
  private(set) var firstFailure: MonotonicTime?
  /// Whether the view may have run in any of the attempts.
  private(set) var mayHaveRun = false

  init(_ terms: ViewTerms) {
    repeating = terms.repeating
    patience = terms.patience
    pauses =
      switch terms.lane {
      case .clients: Backoff(first: .milliseconds(250), longest: .seconds(5))
      case .reports: Backoff(first: .milliseconds(250), longest: .seconds(30))
      }
  }

  /// An attempt has failed.
  ///
  /// - Returns: what is to be said of all attempts together.
  mutating func noting(_ failure: ViewFailure) -> ViewFailure {
    mayHaveRun = mayHaveRun || failure.mayHaveRun
    var failure = failure
    failure.mayHaveRun = mayHaveRun
    return failure
  }

  /// After how long the question is asked again: half of a time that doubles with each failure, and a part of the other half by chance,
  /// so that those who failed together do not come together.
  ///
  /// - Parameters:
  ///   - failure: that was noted.
  ///   - random: from 0 to 1.
  /// - Returns: nil if it is not asked again.
  mutating func pause(after failure: ViewFailure, at now: MonotonicTime, random: Double) -> Duration? {
    let firstFailure = firstFailure ?? now
    self.firstFailure = firstFailure
    failures += 1
    guard patience > .zero, !mayHaveRun || repeating == .always else { return nil }
    let pause = max(
      pauses.pause(after: failures) * (0.5 + random / 2), min(failure.retryAfter ?? .zero, Self.longestWish))
    return (now + pause).since(firstFailure) > patience ? nil : pause
  }

  /// The longest pause that a view can ask for.
  private static let longestWish = Duration.seconds(60)
}
