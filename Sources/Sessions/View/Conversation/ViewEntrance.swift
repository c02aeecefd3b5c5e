/// A client whose view is asked whether it may come in, and who waits for the answer.
final class ViewEntrance {
  let details: ViewQuestion.ConnectDetails
  /// Whoever asks it, and the ticket of the question.
  let asker: any ViewAsker
  var ticket: Int?
  let patience: Duration
  /// Whether the client is accepted after all.
  let completed: (Result<ViewAnswer, HandshakeRefusal>) -> Bool

  /// - Parameter patience: how long *connect* may take.
  init(
    details: ViewQuestion.ConnectDetails, asker: any ViewAsker, patience: Duration,
    completed: @escaping (Result<ViewAnswer, HandshakeRefusal>) -> Bool
  ) {
    self.details = details
    self.asker = asker
    self.patience = patience
    self.completed = completed
  }
}
