import NIOCore
import NIOEmbedded
import NIOSSL
import NIOTLS
import Testing

@testable import RedisClient

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

  @Test func `a connection over TLS is ready behind its handshake, and fails with the reason of that`() throws
  {
    for isGood in [true, false] {
      let channel = EmbeddedChannel()
      let handler = RedisConnectionHandler(usesTLS: true)
      try channel.pipeline.syncOperations.addHandler(handler)
      var outcome: Result<Void, any Error>?
      handler.whenReady(channel, within: .hours(1)).assumeIsolated().whenComplete { outcome = $0 }
      channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
      #expect(outcome == nil)
      if isGood {
        channel.pipeline.fireUserInboundEventTriggered(
          TLSUserEvent.handshakeCompleted(negotiatedProtocol: nil))
        #expect(throws: Never.self) { try outcome?.get() }
        _ = try channel.finish()
      } else {
        channel.pipeline.fireErrorCaught(NIOSSLExtraError.failedToValidateHostname)
        channel.embeddedEventLoop.run()
        #expect(throws: RedisFailure.cannotConnect("the server's certificate is for another name")) {
          try outcome?.get()
        }
      }
      #expect(outcome != nil)
    }
  }

  @Test func `a handshake that takes too long ends the connection`() throws {
    let channel = EmbeddedChannel()
    let handler = RedisConnectionHandler(usesTLS: true)
    try channel.pipeline.syncOperations.addHandler(handler)
    var said = ""
    handler.whenReady(channel, within: .nanoseconds(-1)).assumeIsolated().whenFailure { said = "\($0)" }
    channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
    channel.embeddedEventLoop.advanceTime(by: .seconds(1))
    #expect(said.contains("perhaps the server does not speak TLS on this port"))
    #expect(!channel.isActive)
  }

  /// Behind the handshake of TLS 1.3 a server may still refuse the client's certificate, before the client has written anything.
  @Test(arguments: [false, true])
  func `whoever asks a connection that has ended without a word is told why it ended`(_ isLate: Bool)
    async throws
  {
    let channel = NIOAsyncTestingChannel()
    let handler = NIOLoopBoundBox.makeEmptyBox(
      valueType: RedisConnectionHandler.self, eventLoop: channel.eventLoop)
    try await channel.testingEventLoop.executeInContext {
      let made = RedisConnectionHandler(usesTLS: true)
      try channel.pipeline.syncOperations.addHandler(made)
      handler.value = made
    }
    try await channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1))
    let end = try await channel.testingEventLoop.executeInContext { handler.value?.ending }
    let connection = RedisConnection(channel: channel, end: try #require(end))
    try await channel.testingEventLoop.executeInContext {
      channel.pipeline.fireErrorCaught(NIOSSLExtraError.failedToValidateHostname)
    }
    if isLate { await channel.testingEventLoop.run() }
    await #expect(throws: RedisFailure.cannotConnect("the server's certificate is for another name")) {
      async let answer = connection.send(RESPCommand("PING"))
      await channel.testingEventLoop.run()
      return try await answer
    }
  }
}
