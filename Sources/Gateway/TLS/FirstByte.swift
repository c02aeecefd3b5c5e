import NIOCore

/// Notes that the peer of a TLS connection has sent something, and removes itself.
final class FirstByte: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer

  private let relay: TLSRelay

  init(of relay: TLSRelay) {
    self.relay = relay
    relay.isUnheard = true
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    relay.isUnheard = false
    context.fireChannelRead(data)
    context.pipeline.syncOperations.removeHandler(self, promise: nil)
  }
}

@available(*, unavailable)
extension FirstByte: Sendable {}
