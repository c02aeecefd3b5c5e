/// Asks the view of one route, from one worker. Confined to its reactor.
///
/// Questions of all workers share the route's bound (`in_flight`), and are fair between those who wait.
protocol ViewAsker: AnyObject {
  /// Signs and sends a question, again while the rules for it allow that, and calls back once, later on the reactor; not after
  /// `forget`.
  ///
  /// - Returns: the ticket of the question.
  func ask(
    _ question: ViewQuestion, _ terms: ViewTerms, _ completed: @escaping (ViewOutcome) -> Void
  ) -> Int

  /// The answer is not needed any more. A question that was sent already runs on in the view.
  ///
  /// - Parameter over: called once where something of it was sent, at once or later: the view is done with it, or its time is over. What
  ///   undoes the question is not to be asked before.
  /// - Returns: whether something of it was sent.
  @discardableResult
  func forget(_ ticket: Int, _ over: (() -> Void)?) -> Bool
}

extension ViewAsker {
  @discardableResult
  func forget(_ ticket: Int) -> Bool { forget(ticket, nil) }
}

/// How a question is asked.
struct ViewTerms {
  /// Which questions go first: those of `connect` and `receive`, which clients wait for.
  enum Lane {
    case clients
    /// *disconnect* and *alive*, at a bounded rate.
    case reports
  }

  /// Whether a question is sent again that the view may have handled.
  enum Repeating {
    /// It is not: only one of which not a byte was sent.
    case unsent
    case always
  }

  var lane = Lane.clients
  /// For whom it is asked: a user's name or a client's address. Whoever has many questions waits behind others.
  var asker: String
  var repeating = Repeating.always
  /// How long it is asked again; zero for one attempt. It counts from the first failure.
  var patience: Duration = .zero
}
