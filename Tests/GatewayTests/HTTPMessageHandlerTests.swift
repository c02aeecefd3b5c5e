import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing
import Transport
import WebSocketCore

@testable import Gateway
@testable import Sessions

/// A socket whose sides can be closed one by one, which an embedded channel's cannot.
private final class HalfClosingSocket: ChannelOutboundHandler {
  typealias OutboundIn = HTTPServerResponsePart

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    guard mode == .output else { return context.close(mode: mode, promise: promise) }
    promise?.succeed()
  }
}

/// A gate through which nothing goes.
private func freshGate() -> RequestGate { RequestGate(share: MemoryShare(of: MemoryBudget(total: 0))) }

struct HTTPMessageHandlerTests {
  private let channel = EmbeddedChannel(handlers: [
    HalfClosingSocket(), HTTPMessageHandler(gate: freshGate()),
  ])

  init() throws {
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
  }

  private func request(
    _ method: HTTPMethod = .GET, version: HTTPVersion = .http1_1, _ fields: [(String, String)] = [],
    isWhole: Bool = true
  ) throws {
    let head = HTTPRequestHead(
      version: version, method: method, uri: "/", headers: HTTPHeaders([("Host", "a")] + fields))
    try channel.writeInbound(HTTPServerRequestPart.head(head))
    if isWhole { try channel.writeInbound(HTTPServerRequestPart.end(nil)) }
  }

  /// - Returns: the head as it is sent, and how many parts of a body come behind it.
  private func answer(_ status: HTTPResponseStatus = .ok, _ fields: [(String, String)] = []) throws -> (
    head: HTTPResponseHead, parts: Int
  ) {
    let head = HTTPResponseHead(version: .http1_1, status: status, headers: HTTPHeaders(fields))
    try channel.writeOutbound(HTTPServerResponsePart.head(head))
    try channel.writeOutbound(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: "abc"))))
    try channel.writeOutbound(HTTPServerResponsePart.end(nil))
    var sent: HTTPResponseHead?
    var parts = 0
    while let part = try channel.readOutbound(as: HTTPServerResponsePart.self) {
      switch part {
      case .head(let head): sent = head
      case .body(let data): parts += data.readableBytes > 0 ? 1 : 0
      case .end: break
      }
    }
    return (try #require(sent), parts)
  }

  @Test(arguments: [
    (HTTPMethod.GET, HTTPResponseStatus.ok, 1), (.HEAD, .ok, 0), (.GET, .noContent, 0),
    (.GET, .resetContent, 0),
    (.GET, .notModified, 0),
  ])
  func `only some answers have a body`(_ method: HTTPMethod, _ status: HTTPResponseStatus, _ parts: Int)
    throws
  {
    try request(method)
    #expect(try answer(status, [("Content-Length", "3")]).parts == parts)
  }

  @Test(
    arguments: [
      (HTTPVersion.http1_1, [], nil), (.http1_1, [("Connection", "x, Close")], "close"),
      (.http1_1, [("Upgrade", "h2c")], "close"), (.http1_0, [], "close"),
      (.http1_0, [("Connection", "Keep-Alive")], "keep-alive"),
    ] as [(HTTPVersion, [(String, String)], String?)])
  func `an answer says whether the connection goes on`(
    _ version: HTTPVersion, _ fields: [(String, String)], _ said: String?
  ) throws {
    try request(version: version, fields)
    #expect(try answer(.ok, [("Content-Length", "3")]).head.headers.first(name: "connection") == said)
  }

  @Test func `an answer to half a request is the last one`() throws {
    try request(.POST, [("Content-Length", "3")], isWhole: false)
    #expect(try answer().head.headers["connection"] == ["close"])
    #expect(try channel.readInbound(as: HTTPServerRequestPart.self) != nil)
    try channel.writeInbound(HTTPServerRequestPart.end(nil))
    try request()
    #expect(try channel.readInbound(as: HTTPServerRequestPart.self) == nil)
  }

  @Test func `a stop is told with the next answer, which keeps what else it says of the connection`() throws {
    try request()
    channel.pipeline.fireUserInboundEventTriggered(HTTPMessageHandler.Stop(lastRequests: .seconds(1)))
    #expect(try answer(.ok, [("Connection", "Upgrade")]).head.headers["connection"] == ["close, Upgrade"])
  }

  @Test func `a stop leaves time for one request more, and for the client's end`() throws {
    channel.pipeline.fireUserInboundEventTriggered(HTTPMessageHandler.Stop(lastRequests: .seconds(1)))
    try request()
    #expect(try answer(.ok).head.headers["connection"] == ["close"])
    channel.embeddedEventLoop.advanceTime(by: .seconds(1))
    #expect(channel.isActive)
    channel.embeddedEventLoop.advanceTime(by: .seconds(1))
    #expect(!channel.isActive)
  }

  @Test func `a stop gives a connection that is already closing no more time`() throws {
    try request(.GET, [("Connection", "close")])
    _ = try answer()
    channel.pipeline.fireUserInboundEventTriggered(HTTPMessageHandler.Stop(lastRequests: .seconds(10)))
    #expect(channel.isActive)
    channel.embeddedEventLoop.advanceTime(by: .seconds(2))
    #expect(!channel.isActive)
  }

  @Test func `a connection that nothing was asked on is closed by halves`() throws {
    channel.close(promise: nil)
    #expect(channel.isActive)
    channel.embeddedEventLoop.advanceTime(by: .seconds(2))
    #expect(!channel.isActive)
  }

  @Test func `an answer of unknown length ends the connection of an old client`() throws {
    try request(version: .http1_0, [("Connection", "keep-alive")])
    #expect(try answer().head.headers["connection"] == ["close"])
  }

  @Test func `a client is told to go on when its body is wanted, once, and only if it asks`() async throws {
    try request(.POST, [("Expect", "100-Continue"), ("Content-Length", "3")], isWhole: false)
    channel.triggerUserOutboundEvent(HTTPMessageHandler.BodyIsWanted(), promise: nil)
    channel.triggerUserOutboundEvent(HTTPMessageHandler.BodyIsWanted(), promise: nil)
    guard case .head(let head)? = try channel.readOutbound(as: HTTPServerResponsePart.self) else {
      Issue.record("nothing was said")
      return
    }
    #expect(head.status == .continue)
    #expect(try channel.readOutbound(as: HTTPServerResponsePart.self) == nil)
  }

  @Test func `a close behind the last answer leaves the client time to take it`() throws {
    try request(.POST, [("Content-Length", "3")], isWhole: false)
    _ = try answer()
    channel.close(promise: nil)
    #expect(channel.isActive)
    channel.embeddedEventLoop.advanceTime(by: .seconds(2))
    #expect(!channel.isActive)
  }

  @Test func `a client that has closed its side is waited for, but not for ever`() throws {
    try request()
    channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    channel.embeddedEventLoop.advanceTime(by: .seconds(4))
    #expect(channel.isActive)
    channel.embeddedEventLoop.advanceTime(by: .seconds(1))
    #expect(!channel.isActive)
  }

  @Test(arguments: [true, false])
  func `a client that leaves with its answer has sent nothing malformed`(_ isAnswered: Bool) throws {
    var refused: [String] = []
    let channel = EmbeddedChannel(
      handlers: [HalfClosingSocket(), HTTPMessageHandler(gate: freshGate()) { refused.append($0.text) }])
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    let head = HTTPRequestHead(
      version: .http1_1, method: .POST, uri: "/", headers: ["Host": "a", "Content-Length": "3"])
    try channel.writeInbound(HTTPServerRequestPart.head(head))
    if isAnswered {
      try channel.writeOutbound(HTTPServerResponsePart.head(.init(version: .http1_1, status: .notFound)))
      try channel.writeOutbound(HTTPServerResponsePart.end(nil))
    }
    channel.pipeline.fireErrorCaught(HTTPParserError.invalidEOFState)
    #expect(refused == (isAnswered ? [] : ["The request is malformed: the request ends too early."]))
  }
}
