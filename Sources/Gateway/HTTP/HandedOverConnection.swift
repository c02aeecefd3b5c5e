import NIOCore
import Sessions

/// A connected socket on its way between a worker and the HTTP service. The receiver owns the descriptor.
struct HandedOverConnection: Sendable {
  var descriptor: Int32
  /// Bytes that were read from it and not handled yet.
  var bytes: [UInt8]
  var client: Client
  /// Whether the client is behind a relay of this process: an `HTTPRelay`.
  var isRelayed = false
  /// On its way back to a worker; nil otherwise.
  var stay: Stay?

  /// Keeps the HTTP service from its end for as long as anybody holds it: the worker that gets the connection may have reported its own
  /// end already, and then nothing else is waited for.
  final class Stay: Sendable {
    private let over: EventLoopPromise<Void>

    init(on loop: any EventLoop) {
      over = loop.makePromise()
    }

    deinit {
      over.succeed()
    }

    /// Completed when nobody holds it any more.
    var isOver: EventLoopFuture<Void> { over.futureResult }
  }
}
