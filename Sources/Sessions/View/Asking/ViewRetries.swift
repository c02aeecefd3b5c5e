import Transport

/// When a question is asked again that has got no answer. A pure value, one for each question.
struct ViewRetries: Sendable, Equatable {
  private let repeating: ViewTerms.Repeating
  private let patience: Duration
  /// The longest pause.
  private let longest: Duration
  private(set) var failures = 0
  private(set) var firstFailure: MonotonicTime?
  /// Whether the view may have run in any of the attempts.
  private(set) var mayHaveRun = false

  private static let shortest = Duration.milliseconds(250)

  init(_ terms: ViewTerms) {
    repeating = terms.repeating
    patience = terms.patience
    longest =
      switch terms.lane {
      case .clients: .seconds(5)
      case .reports: .seconds(30)
      }
  }

  /// After how long the question is asked again: half of a time that doubles with each failure, and a part of the other half by chance,
  /// so that those who failed together do not come together.
  ///
  /// - Parameter random: from 0 to 1.
  /// - Returns: nil if it is not asked again.
  mutating func pause(after failure: ViewFailure, at now: MonotonicTime, random: Double) -> Duration? {
    note(at: now)
    failures += 1
    mayHaveRun = mayHaveRun || failure.mayHaveRun
    guard !mayHaveRun || repeating == .always else { return nil }
    let doubled = Self.shortest * (1 << min(failures - 1, 16))
    let pause = max(
      min(doubled, longest) * (0.5 + random / 2), min(failure.retryAfter ?? .zero, Self.longestWish))
    return isOver(at: now + pause) ? nil : pause
  }

  /// The longest pause that a view can ask for.
  private static let longestWish = Duration.seconds(60)

  /// The question cannot be asked, because the view answers nobody.
  mutating func note(at now: MonotonicTime) {
    firstFailure = firstFailure ?? now
  }

  /// Whether the time for asking again is over.
  func isOver(at now: MonotonicTime) -> Bool {
    guard let firstFailure else { return false }
    return now.since(firstFailure) > patience || patience == .zero
  }
}
