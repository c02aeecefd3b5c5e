import Sessions
import WebSocketCore

/// A message from another thread to a worker.
enum WorkerMessage: Sendable {
  /// Listening sockets, and those that are only listened on until whoever waits there is accepted. The worker becomes their owner.
  case start(listeners: [ListeningSocket], left: [ListeningSocket] = [])
  /// A connection that comes back from the HTTP service for a request that is not for it.
  case takeOver(HandedOverConnection)
  /// What its sessions had asked of other threads.
  case outcome(WorkerSessions.Outcome)
  /// Work that only the worker can do.
  case perform(@Sendable (WorkerSessions) -> Void)
  /// The same where more than its sessions is needed.
  case prepare(@Sendable (Worker) -> Void)
  /// What is served was exchanged.
  case exchange(ExchangeOrder)
  case stop(StopOrder)
  /// Close the remaining connections without waiting.
  case abandon
}

/// What a reload changes for one worker.
struct ExchangeOrder: Sendable {
  /// The worker becomes their owner.
  var opened: [ListeningSocket] = []
  /// Sockets that stay, and what is spoken there now.
  var kept: [ListeningSocket.Manners] = []
  /// Sockets that are to be closed, by their identification.
  var closed: [Int] = []
  /// Gets the counts of the worker's clients.
  var tally: ExchangeTally
}

/// `shutdown:` for one worker.
struct StopOrder: Sendable {
  var grace: Duration
  var code: CloseCode
  /// For the sessions of all workers.
  var plan: ClosePlan
  /// Whether another process listens already.
  var isReplaced: Bool
  /// Called when no connection is left.
  var finished: @Sendable () -> Void
}
