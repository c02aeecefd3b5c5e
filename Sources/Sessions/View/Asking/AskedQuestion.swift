import Transport

/// One question of a worker, from when it is made to its outcome. Confined to its reactor.
final class AskedQuestion {
  enum State {
    /// For its turn.
    case waiting
    /// Until it is asked again.
    case pausing(Timer)
    /// Nil while the connection is being looked for.
    case asking(HTTPLink?)
    case over
  }

  let ticket: Int
  let question: ViewQuestion
  let terms: ViewTerms
  let completed: (ViewOutcome) -> Void
  /// Seconds since 1970.
  let made: Double
  let askedAt: MonotonicTime
  var state = State.waiting
  var retries: ViewRetries
  /// How often it was sent, or was to be sent.
  var attempts = 0
  /// A kept connection had ended when it was to be used: the next attempt makes a new one.
  var wantsFresh = false
  var wasSent = false
  var isForgotten = false
  /// Of one that is forgotten: called when the view is done with it.
  var over: (() -> Void)?

  init(
    _ question: ViewQuestion, _ terms: ViewTerms, ticket: Int, made: Double, at now: MonotonicTime,
    _ completed: @escaping (ViewOutcome) -> Void
  ) {
    self.question = question
    self.terms = terms
    self.ticket = ticket
    self.made = made
    askedAt = now
    self.completed = completed
    retries = ViewRetries(terms)
  }

  var isWaiting: Bool { if case .waiting = state { true } else { false } }

  /// Whether nothing of it is under way.
  var isResting: Bool {
    switch state {
    case .waiting, .pausing: true
    case .asking, .over: false
    }
  }

  /// Whether something of it was sent, in this attempt or before.
  var hasBeenSent: Bool {
    guard case .asking(let link?) = state else { return wasSent }
    return wasSent || link.hasSent
  }

  /// Whether its client is not let in yet.
  var isComing: Bool {
    if case .connect(_, isAgain: false) = question.event { true } else { false }
  }

  /// A client that wants to connect does not wait for a view that is away, nor does a question that is asked once.
  var isRefusable: Bool { isComing || terms.patience == .zero }
}
