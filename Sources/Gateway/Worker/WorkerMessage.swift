import Transport
import WebSocketCore

/// What other threads ask of a worker.
enum WorkerMessage: Sendable {
  /// Listening sockets, whose owner the worker becomes.
  case start(listeners: [ListeningSocket])
  /// A connection that comes back from the HTTP side for a WebSocket upgrade.
  case takeOver(HandedOverConnection)
  /// What became of a connection to an upstream; the worker becomes the owner of the descriptor.
  case upstreamConnected(ticket: Int, Result<Int32, any Error>)
  /// Something that only the worker can tell or do.
  case perform(@Sendable (Worker) -> Void)
  /// Who a client is that it was asked for.
  case authenticated(ticket: Int, Authentication)
  case stop(StopOrder)
  /// Close what is left without waiting for anybody.
  case abandon
}

/// A connected socket on its way between a worker and the HTTP side; whoever receives it owns the descriptor.
struct HandedOverConnection: Sendable {
  var descriptor: Int32
  /// What was read from it and not yet handled.
  var bytes: [UInt8]
  var client: Client
}

/// `shutdown:` as one worker is to carry it out.
struct StopOrder: Sendable {
  var grace: Duration
  var reason: CloseReason
  /// Called when no connection is left.
  var finished: @Sendable () -> Void
}
