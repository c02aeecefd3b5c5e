import NIOCore
import NIOEmbedded
import Testing

@testable import ChannelLayers

struct RedisConnectionHandlerTests {
  @Test func `a subscription that is held back hands nothing on, and loses nothing`() throws {
    let channel = EmbeddedChannel()
    let handler = RedisConnectionHandler(usesTLS: false)
    try channel.pipeline.syncOperations.addHandler(handler)
    var got: [RESPValue] = []
    handler.subscribe { message in
      got.append(message)
      if got.count % 2 == 0 { handler.pause(channel) }
    }
    let expected = (1...6).map { RESPValue.integer($0) }
    try channel.writeInbound(ByteBuffer(string: ":1\r\n:2\r\n:3\r\n:4\r\n:5"))
    #expect(got == Array(expected[..<2]))
    #expect(handler.isPaused)
    // What TLS had in its hands comes all the same.
    try channel.writeInbound(ByteBuffer(string: "\r\n:6\r\n"))
    #expect(got == Array(expected[..<2]))
    handler.resume(channel)
    #expect(got == Array(expected[..<4]))
    #expect(handler.isPaused)
    handler.resume(channel)
    handler.resume(channel)
    #expect(got == expected)
    _ = try channel.finish(acceptAlreadyClosed: true)
  }
}
