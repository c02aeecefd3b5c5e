import Transport

/// Whether the view of a route answers. After five failures in a row it is asked once a second, until one answer comes. A pure value.
struct ViewCircuit: Sendable, Equatable {
  private enum State: Equatable {
    case closed
    /// - Parameter next: when the next question may be asked.
    case open(since: MonotonicTime, next: MonotonicTime, isAsking: Bool)
  }

  /// What is worth a line in the log.
  enum Change: Equatable {
    case firstFailure
    case opened(failures: Int)
    /// The view answers again.
    case closed(after: Duration)
  }

  static let mostFailures = 5
  static let pause = Duration.seconds(1)

  private var state = State.closed
  private var failures = 0

  var isOpen: Bool { state != .closed }

  /// When a question may be asked; nil while one is under way that will tell.
  func next(at now: MonotonicTime) -> MonotonicTime? {
    switch state {
    case .closed: now
    case .open(_, let next, let isAsking): isAsking ? nil : max(now, next)
    }
  }

  /// A question is asked now.
  mutating func asked(at now: MonotonicTime) {
    guard case .open(let since, _, _) = state else { return }
    state = .open(since: since, next: now + Self.pause, isAsking: true)
  }

  mutating func failed(at now: MonotonicTime) -> Change? {
    failures += 1
    switch state {
    case .open(let since, let next, _):
      state = .open(since: since, next: next, isAsking: false)
      return nil
    case .closed where failures >= Self.mostFailures:
      state = .open(since: now, next: now + Self.pause, isAsking: false)
      return .opened(failures: failures)
    case .closed: return failures == 1 ? .firstFailure : nil
    }
  }

  mutating func answered(at now: MonotonicTime) -> Change? {
    failures = 0
    guard case .open(let since, _, _) = state else { return nil }
    state = .closed
    return .closed(after: now.since(since))
  }

  /// The question that was asked was given up before it was sent.
  mutating func unasked() {
    guard case .open(let since, let next, _) = state else { return }
    state = .open(since: since, next: next, isAsking: false)
  }
}
