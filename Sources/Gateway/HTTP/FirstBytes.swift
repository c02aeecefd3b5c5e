import NIOCore

/// Passes the bytes that the worker had read on to the pipeline, before any other bytes of the socket.
final class FirstBytes: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private let bytes: [UInt8]

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  func channelActive(context: ChannelHandlerContext) {
    context.fireChannelActive()
    context.fireChannelRead(wrapInboundOut(context.channel.allocator.buffer(bytes: bytes)))
    context.fireChannelReadComplete()
    context.pipeline.syncOperations.removeHandler(self, promise: nil)
  }
}
