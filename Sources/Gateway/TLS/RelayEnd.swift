import NIOCore
import NIOTLS
import Transport

/// One end of a relay, last in its channel's pipeline. Bytes read here are written at the other end, only as fast as that end
/// accepts them. Its channel does not read by itself.
final class RelayEnd: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  enum Side {
    /// The TLS connection.
    case secure
    /// The socket pair, with a reactor behind it.
    case plain
  }

  private let side: Side
  /// Nil once its channel is closed. The two keep each other alive until then.
  private var relay: TLSRelay?
  private var context: ChannelHandlerContext?
  private var isWaitingToRead = false
  private var silence = PeerSilence()

  init(_ side: Side, of relay: TLSRelay) {
    self.side = side
    self.relay = relay
    relay.join(self, as: side)
  }

  private var other: RelayEnd? { relay?.end(opposite: side) }

  /// A closed channel accepts everything, so that nothing waits for it.
  private var takesMore: Bool { context?.channel.isWritable ?? true }

  // MARK: - What the relay asks for

  func read() {
    isWaitingToRead = other?.takesMore == false
    if !isWaitingToRead { context?.read() }
  }

  func closeOutput(promise: EventLoopPromise<Void>? = nil) {
    guard let context else {
      promise?.succeed()
      return
    }
    context.close(mode: .output, promise: promise)
  }

  func close() {
    context?.close(promise: nil)
  }

  /// Closes at once, without TLS's close_notify.
  func abandon() {
    context?.channel.abandon()
  }

  /// Ends the connection if its peer has owed an acknowledgement for too long, because it is gone. Called a few times a minute.
  func checkPeer(at now: MonotonicTime) {
    guard let channel = context?.channel,
      channel.hasLostPeer(&silence, at: now, bound: KeepAliveProbes.bound)
    else { return }
    relay?.abandon()
  }

  // MARK: - What the channel tells

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    let isOver = relay?.isOver ?? true
    switch side {
    case .secure: if isOver { abandon() } else { context.read() }
    // The bytes from that side are needed once the handshake is over.
    case .plain: if isOver { close() }
    }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    let relay = relay
    self.relay = nil
    relay?.leave(side)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard let target = other?.context else { return }
    target.write(wrapOutboundOut(unwrapInboundIn(data)), promise: nil)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    other?.context?.flush()
    read()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    guard context.channel.isWritable, let other, other.isWaitingToRead else { return }
    other.read()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case ChannelEvent.inputClosed: relay?.inputEnded(at: side)
    case TLSUserEvent.handshakeCompleted: relay?.handshakeCompleted()
    default: context.fireUserInboundEventTriggered(event)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    relay?.failed(at: side, error)
  }
}

@available(*, unavailable)
extension RelayEnd: Sendable {}
