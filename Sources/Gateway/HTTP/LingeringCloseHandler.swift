package import NIOCore
package import Transport

/// The handler next to the socket: a close waits until everything written before it has been sent, and a client that accepts
/// nothing for a while is disconnected.
///
/// NIO itself drops unsent bytes when a channel is closed.
final class LingeringCloseHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = IOData

  /// Fired as an inbound event: close now, and drop unsent bytes.
  struct Abandon: Sendable {}

  /// When the time of a client that accepts nothing begins to run.
  enum Patience {
    /// With each write.
    case fromWrite(TimeAmount)
    /// Only once the connection is to be closed.
    case fromClose(TimeAmount)
    /// Only once both directions are to be closed.
    case fromFullClose(TimeAmount)

    var time: TimeAmount {
      switch self {
      case .fromWrite(let time), .fromClose(let time), .fromFullClose(let time): time
      }
    }
  }

  private let patience: Patience
  private var unfinishedWrites = 0
  private var lastProgress = NIODeadline.uptimeNanoseconds(0)
  private var watch: Scheduled<Void>?
  private var heldCloses: [(mode: CloseMode, promise: EventLoopPromise<Void>?)] = []

  /// - Parameter patience: how long a client may accept none of the unsent bytes.
  init(patience: Patience = .fromWrite(.seconds(30))) {
    self.patience = patience
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    unfinishedWrites += 1
    if unfinishedWrites == 1, case .fromWrite = patience { beginToWatch(context) }
    let promise = promise ?? context.eventLoop.makePromise()
    // `assumeIsolated` is sound: a handler runs on the loop of its channel, whose promises and tasks are used here.
    promise.futureResult.assumeIsolated().whenComplete { [self] _ in finishedWrite(context) }
    context.write(data, promise: promise)
  }

  private func finishedWrite(_ context: ChannelHandlerContext) {
    unfinishedWrites -= 1
    lastProgress = context.eventLoop.now
    guard unfinishedWrites == 0 else { return }
    let closes = heldCloses
    heldCloses = []
    for close in closes { context.close(mode: close.mode, promise: close.promise) }
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    guard mode != .input, unfinishedWrites > 0 else { return context.close(mode: mode, promise: promise) }
    switch patience {
    case .fromClose: beginToWatch(context)
    case .fromFullClose where mode == .all: beginToWatch(context)
    case .fromFullClose, .fromWrite: break
    }
    heldCloses.append((mode, promise))
    context.flush()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is Abandon { return context.close(promise: nil) }
    context.fireUserInboundEventTriggered(event)
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    watch?.cancel()
    watch = nil
  }

  // MARK: - A client that takes nothing

  private func beginToWatch(_ context: ChannelHandlerContext) {
    lastProgress = context.eventLoop.now
    if watch == nil { watchProgress(context) }
  }

  /// One timer while there are unsent bytes, however many writes there are.
  private func watchProgress(_ context: ChannelHandlerContext) {
    watch = context.eventLoop.assumeIsolated().scheduleTask(deadline: lastProgress + patience.time) {
      [self] in
      watch = nil
      guard unfinishedWrites > 0 else { return }
      guard context.eventLoop.now < lastProgress + patience.time else { return context.close(promise: nil) }
      watchProgress(context)
    }
  }
}

@available(*, unavailable)
extension LingeringCloseHandler: Sendable {}

extension Channel {
  /// Closes the channel now, and drops unsent bytes. From any thread.
  func abandon() {
    pipeline.fireUserInboundEventTriggered(LingeringCloseHandler.Abandon())
  }

  /// Finds out whether the peer has owed an acknowledgement for too long, because it is gone. The system then forgets what it
  /// still holds for it. On the event loop.
  func hasLostPeer(_ silence: inout PeerSilence, at now: MonotonicTime, bound: Duration) -> Bool {
    guard let socket = try? socket(),
      silence.isOver(at: now.nanoseconds, bound: bound.wholeNanoseconds, PeerReport(ofSocket: socket))
    else { return false }
    PeerReport.dropUnsent(ofSocket: socket)
    return true
  }

  /// A further descriptor of the socket, which the caller owns: closing the channel leaves it open. On the event loop.
  func duplicateSocket() throws -> Int32 { try Descriptor.duplicate(of: socket()).take() }

  /// Who is at the other end of a Unix socket; nil for another one. On the event loop.
  package var peerCredentials: PeerCredentials? { (try? socket()).flatMap(PeerCredentials.init(ofSocket:)) }

  private func socket() throws -> NIOBSDSocket.Handle {
    let socket = try pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
      $0
    }
    guard let socket else { throw ChannelError.operationUnsupported }
    return socket
  }
}
