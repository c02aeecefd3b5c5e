import NIOCore
import NIOEmbedded
import Testing

@testable import Gateway

/// An embedded channel sends what was written when it is flushed, so an unflushed write stands for a client that reads nothing.
struct UnsentBytesTests {
  private let channel = EmbeddedChannel(handler: LingeringCloseHandler(patience: .fromWrite(.seconds(30))))
  private let bytes = IOData.byteBuffer(ByteBuffer(string: "abc"))

  init() throws {
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
  }

  @Test func `a close waits for what was written before it`() throws {
    let written = channel.write(bytes)
    var events: [String] = []
    written.assumeIsolated().whenSuccess { events.append("written") }
    channel.close().assumeIsolated().whenComplete { _ in events.append("closed") }
    channel.flush()
    channel.embeddedEventLoop.run()
    #expect(events == ["written", "closed"])
    #expect(try channel.readOutbound(as: IOData.self) == bytes)
  }

  @Test func `a close without anything unsent is a close`() {
    channel.close(promise: nil)
    channel.embeddedEventLoop.run()
    #expect(!channel.isActive)
  }

  @Test func `whoever takes nothing for the time of patience loses the connection`() {
    channel.write(bytes, promise: nil)
    channel.embeddedEventLoop.advanceTime(by: .seconds(29))
    #expect(channel.isActive)
    channel.embeddedEventLoop.advanceTime(by: .seconds(1))
    #expect(!channel.isActive)
  }

  @Test func `whoever takes a little now and then keeps it`() {
    for _ in 0..<5 {
      channel.write(bytes, promise: nil)
      channel.embeddedEventLoop.advanceTime(by: .seconds(20))
      channel.flush()
    }
    channel.embeddedEventLoop.advanceTime(by: .hours(1))
    #expect(channel.isActive)
    channel.write(bytes, promise: nil)
    channel.embeddedEventLoop.advanceTime(by: .seconds(30))
    #expect(!channel.isActive)
  }

  @Test func `patience can begin with the close`() throws {
    let channel = EmbeddedChannel(
      handlers: [TakesNothing(), LingeringCloseHandler(patience: .fromClose(.seconds(30)))])
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    channel.writeAndFlush(bytes, promise: nil)
    channel.embeddedEventLoop.advanceTime(by: .hours(1))
    #expect(channel.isActive)
    channel.close(promise: nil)
    channel.embeddedEventLoop.advanceTime(by: .seconds(29))
    #expect(channel.isActive)
    channel.embeddedEventLoop.advanceTime(by: .seconds(1))
    #expect(!channel.isActive)
  }

  @Test func `abandoned, it closes at once`() {
    channel.write(bytes, promise: nil)
    channel.pipeline.fireUserInboundEventTriggered(LingeringCloseHandler.Abandon())
    channel.embeddedEventLoop.run()
    #expect(!channel.isActive)
  }
}

/// Stands for a client that reads nothing, whatever is flushed.
private final class TakesNothing: ChannelOutboundHandler {
  typealias OutboundIn = IOData

  func flush(context: ChannelHandlerContext) {}
}
