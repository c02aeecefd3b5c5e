import Transport

/// Whether the view of a route answers. After five failures in a row it is asked once a second, until one answer comes. A pure value.
struct ViewCircuit: Sendable, Equatable {
  private enum State: Equatable {
    case closed
    /// - Parameters:
    ///   - next: when the next question may be asked.
    ///   - probe: the question under way that will tell. Others may still be under way from before.
    case open(since: MonotonicTime, next: MonotonicTime, probe: ViewQueue.ID?)
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

  /// Since when the view has answered nobody; nil while it answers.
  var openSince: MonotonicTime? {
    if case .open(let since, _, _) = state { since } else { nil }
  }

  /// When a question may be asked; nil while one is under way that will tell.
  func next(at now: MonotonicTime) -> MonotonicTime? {
    switch state {
    case .closed: now
    case .open(_, let next, let probe): probe == nil ? max(now, next) : nil
    }
  }

  /// A question is asked now.
  mutating func asked(_ id: ViewQueue.ID, at now: MonotonicTime) {
    guard case .open(let since, _, _) = state else { return }
    state = .open(since: since, next: now + Self.pause, probe: id)
  }

  mutating func failed(_ id: ViewQueue.ID, at now: MonotonicTime) -> Change? {
    failures += 1
    switch state {
    case .open:
      over(id)
      return nil
    case .closed where failures >= Self.mostFailures:
      state = .open(since: now, next: now + Self.pause, probe: nil)
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

  /// A question was given up before it was sent.
  mutating func unasked(_ id: ViewQueue.ID) { over(id) }

  private mutating func over(_ id: ViewQueue.ID) {
    guard case .open(let since, let next, id?) = state else { return }
    state = .open(since: since, next: next, probe: nil)
  }
}
