import Transport
import WebSocketCore

/// A message from another thread to a worker.
enum WorkerMessage: Sendable {
  /// Listening sockets. The worker becomes their owner.
  case start(listeners: [ListeningSocket])
  /// A connection that comes back from the HTTP service for a WebSocket upgrade.
  case takeOver(HandedOverConnection)
  /// The result of connecting to an upstream. The worker becomes the owner of the descriptor.
  case upstreamConnected(ticket: Int, Result<Int32, any Error>)
  /// Work that only the worker can do.
  case perform(@Sendable (Worker) -> Void)
  /// The result of authenticating a client.
  case authenticated(ticket: Int, Authentication)
  case stop(StopOrder)
  /// Close the remaining connections without waiting.
  case abandon
}

/// A connected socket on its way between a worker and the HTTP service. The receiver owns the descriptor.
struct HandedOverConnection: Sendable {
  var descriptor: Int32
  /// Bytes that were read from it and not handled yet.
  var bytes: [UInt8]
  var client: Client
}

/// `shutdown:` for one worker.
struct StopOrder: Sendable {
  var grace: Duration
  var reason: CloseReason
  /// Called when no connection is left.
  var finished: @Sendable () -> Void
}
