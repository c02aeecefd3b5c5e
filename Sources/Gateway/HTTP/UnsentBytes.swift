import NIOCore

/// The end of a connection next to its socket: a close waits until what was written before it has been sent, and a client that
/// takes nothing for a while loses its connection.
///
/// NIO itself drops what is not sent yet when a channel is closed.
final class UnsentBytes: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = IOData

  /// Fired as an inbound event: close now, whatever is not sent.
  struct Abandon: Sendable {}

  /// When a client that takes nothing begins to lose its connection.
  enum Patience {
    /// With what is written to it.
    case fromWrite(TimeAmount)
    /// Only once the connection is to be closed.
    case fromClose(TimeAmount)

    var time: TimeAmount {
      switch self {
      case .fromWrite(let time), .fromClose(let time): time
      }
    }
  }

  private let patience: Patience
  private var unfinishedWrites = 0
  private var lastProgress = NIODeadline.uptimeNanoseconds(0)
  private var watch: Scheduled<Void>?
  private var heldCloses: [(mode: CloseMode, promise: EventLoopPromise<Void>?)] = []

  /// - Parameter patience: how long a client may take nothing of what is there for it.
  init(patience: Patience = .fromWrite(.seconds(30))) {
    self.patience = patience
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    unfinishedWrites += 1
    if unfinishedWrites == 1, case .fromWrite = patience { beginToWatch(context) }
    let promise = promise ?? context.eventLoop.makePromise()
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
    if case .fromClose = patience { beginToWatch(context) }
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

  /// One timer for as long as something is unsent, however many writes there are.
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
extension UnsentBytes: Sendable {}
