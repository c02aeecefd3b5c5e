import Sessions

/// A message from another thread to a worker.
enum WorkerMessage: Sendable {
  /// Listening sockets. The worker becomes their owner.
  case start(listeners: [ListeningSocket])
  /// A connection that comes back from the HTTP service for a request that is not for it.
  case takeOver(HandedOverConnection)
  /// What its sessions had asked of other threads.
  case outcome(WorkerSessions.Outcome)
  /// Work that only the worker can do.
  case perform(@Sendable (WorkerSessions) -> Void)
  case stop(StopOrder)
  /// Close the remaining connections without waiting.
  case abandon
}

/// `shutdown:` for one worker.
struct StopOrder: Sendable {
  var grace: Duration
  var reason: CloseReason
  /// Called when no connection is left.
  var finished: @Sendable () -> Void
}
