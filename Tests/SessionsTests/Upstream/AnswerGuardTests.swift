import Bytes
import Glibc
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import Sessions

/// Stands where the HTTP client is, and keeps what reaches it.
private final class Recorder: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart

  var parts: [HTTPClientResponsePart] = []
  var faults: [UpstreamFault] = []

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    parts.append(unwrapInboundIn(data))
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if let fault = error as? UpstreamFault { faults.append(fault) }
  }
}

/// Stands for a server that reads nothing, whatever is flushed.
private final class ReadsNothing: ChannelOutboundHandler {
  typealias OutboundIn = IOData

  func flush(context: ChannelHandlerContext) {}
}

struct AnswerGuardTests {
  private let channel = EmbeddedChannel()
  private let recorder = Recorder()

  private func begin() throws {
    let pipeline = channel.pipeline.syncOperations
    try pipeline.addHandler(HTTPRequestEncoder())
    try pipeline.addHandler(
      ByteToMessageHandler(HTTPResponseDecoder(informationalResponseStrategy: .forward)))
    try pipeline.addHandler(recorder)
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    try AnswerGuard.protect(channel, patience: .seconds(60)).wait()
  }

  private func ask(_ method: HTTPMethod = .GET, isSent: Bool = true) throws {
    let head = HTTPRequestHead(version: .http1_1, method: method, uri: "/")
    try channel.writeOutbound(HTTPClientRequestPart.head(head))
    if isSent { try channel.writeOutbound(HTTPClientRequestPart.end(nil)) }
  }

  private func hear(_ text: String) throws {
    try channel.writeInbound(ByteBuffer(string: text))
  }

  @Test(arguments: [
    ("HTTP/1.1 200 OK\r\n\r\nbody", 19), ("a\nb", 3), ("\n\r\n\r\na\n\n", 5), ("", 0), ("a\n\nb\n\n", 3),
    (String(repeating: "\n", count: 15_000) + "HTTP/1.1 200 OK", 15_000),
  ])
  func `empty lines that follow each other are one part of a read`(_ text: String, _ length: Int) {
    #expect(AnswerGuard.headLength(ByteBuffer(string: text).readableBytesView) == length)
  }

  @Test func `a head behind many empty lines has its bytes, also those that are not ASCII`() throws {
    try begin()
    try ask()
    try hear(
      String(repeating: "\n", count: 15_000) + "HTTP/1.1 200 OK\r\nX-A: \u{e9}\r\nContent-Length: 0\r\n\r\n")
    guard case .head(let head)? = recorder.parts.first else { return #expect(recorder.faults == []) }
    #expect(head.headers.first(name: "X-A").map { OpaqueText.bytes(of: $0) } == Array("\u{e9}".utf8))
  }

  private var bodies: [Int] {
    recorder.parts.compactMap { if case .body(let part) = $0 { part.readableBytes } else { nil } }
  }

  @Test func `interim answers stay here, and the answer goes on`() throws {
    try begin()
    try ask()
    try hear("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    #expect(recorder.parts.count == 3)
    #expect(recorder.faults == [])
    #expect(channel.isActive)
  }

  @Test func `what one read brings of a body is one part`() throws {
    try begin()
    try ask()
    let chunks = String(repeating: "1\r\nx\r\n", count: 1000)
    try hear("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    try hear(chunks + "0\r\n\r\n")
    #expect(bodies == [1000, 1000])
    #expect(recorder.faults == [])
  }

  @Test(arguments: [
    ("HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nno", UpstreamFault.status(99)),
    ("HTTP/1.1 000 Odd\r\n\r\n", .status(0)),
    ("HTTP/1.1 101 OK\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nmore", .switchedProtocols),
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .unasked),
    ("HTTP/1.1 200 OK\r\na: " + String(repeating: "x", count: 70_000), .tooLong),
    ("SSH-2.0-OpenSSH\r\n", .noHTTP("invalid constant string")),
  ])
  func `a broken rule fails the request once, and ends the connection`(
    _ answer: String, _ fault: UpstreamFault
  ) throws {
    try begin()
    try ask()
    try hear(answer)
    #expect(recorder.faults == [fault])
    #expect(!channel.isActive)
    let count = recorder.parts.count
    try? hear("HTTP/1.1 200 OK\r\n\r\n")
    #expect(recorder.parts.count == count)
  }

  @Test func `bytes that nothing asked for end a connection that waits in the pool`() throws {
    try begin()
    try ask()
    try hear("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    #expect(channel.isActive)
    try hear("H")
    #expect(recorder.faults == [.unasked])
    #expect(!channel.isActive)
  }

  @Test func `a connection that ends too early says so`() throws {
    try begin()
    try ask()
    try hear("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal")
    channel.pipeline.fireChannelInactive()
    #expect(recorder.faults == [.endedEarly])
  }

  @Test
  func `a kept connection that is closed says that it was idle, as RFC 9112 section 9.3.1 lets a server do`()
    throws
  {
    try begin()
    try ask()
    try hear("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    try ask()
    channel.pipeline.fireChannelInactive()
    #expect(recorder.faults == [.closedIdle])
  }

  @Test func `a kept connection that is reset says so too`() throws {
    try begin()
    try ask()
    try hear("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    try ask()
    channel.pipeline.fireErrorCaught(IOError(errnoCode: ECONNRESET, reason: "read"))
    #expect(recorder.faults == [.closedIdle])
  }

  @Test(arguments: [(1000, UpstreamFault.closedIdle), (1001, .closedUnanswered)] as [(Int64, UpstreamFault)])
  func `a kept connection that ends while the server has the request was not idle`(
    _ milliseconds: Int64, _ fault: UpstreamFault
  ) throws {
    try begin()
    try ask()
    try hear("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    // The time counts from this request, and not from the one before.
    channel.embeddedEventLoop.advanceTime(by: .seconds(5))
    try ask(.DELETE)
    channel.embeddedEventLoop.advanceTime(by: .milliseconds(milliseconds))
    channel.pipeline.fireChannelInactive()
    #expect(recorder.faults == [fault])
  }

  @Test func `a reset of a kept connection that the server had a request on is told as it is`() throws {
    try begin()
    try ask()
    try hear("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    try ask()
    channel.embeddedEventLoop.advanceTime(by: .seconds(3))
    channel.pipeline.fireErrorCaught(IOError(errnoCode: ECONNRESET, reason: "read"))
    #expect(recorder.faults == [])
    channel.pipeline.fireChannelInactive()
    #expect(recorder.faults == [.closedUnanswered])
  }

  @Test(arguments: [false, true])
  func `a new connection that is closed, or one with half an answer, was not idle`(_ isKept: Bool) throws {
    try begin()
    try ask()
    if isKept {
      try hear("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
      try ask()
      try hear("HTTP/1.1 100 Continue\r\n\r\n")
    }
    channel.pipeline.fireChannelInactive()
    #expect(recorder.faults == [.closedUnanswered])
  }

  @Test func `a target goes out as it is, and a field's bytes as they were (RFC 9110 section 5.5)`() throws {
    try begin()
    let headers: HTTPHeaders = [
      AnswerGuard.targetField: "/a[1]|%2F?{", "X-A": OpaqueText.text([0x63, 0xE9]), "X-B": "\u{E9}",
    ]
    let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/", headers: headers)
    try channel.writeOutbound(HTTPClientRequestPart.head(head))
    let sent = try #require(try channel.readOutbound(as: IOData.self))
    guard case .byteBuffer(let bytes) = sent else { return #expect(Bool(false)) }
    let line = Array("GET /a[1]|%2F?{ HTTP/1.1\r\nX-A: c".utf8)
    #expect(Array(bytes.readableBytesView) == line + [0xE9] + Array("\r\nX-B: \u{E9}\r\n\r\n".utf8))
  }

  @Test func `a field's bytes come in as text, those of a body as they are (RFC 9110 section 5.5)`() throws {
    try begin()
    try ask()
    let head =
      Array("HTTP/1.1 103 x\r\nX: ".utf8) + [0xE9] + Array("\r\n\r\nHTTP/1.1 200 OK\r\nX-A: c".utf8) + [0xE9]
    let bytes = head + Array("\r\nContent-Length: 2\r\n\r\n".utf8) + [0xE9, 0xFF]
    for cut in bytes.indices where cut % 7 == 0 || cut > bytes.count - 30 {
      recorder.parts = []
      try channel.writeInbound(ByteBuffer(bytes: bytes[..<cut]))
      try channel.writeInbound(ByteBuffer(bytes: bytes[cut...]))
      guard case .head(let got)? = recorder.parts.first else { return #expect(Bool(false)) }
      #expect(got.headers["X-A"] == [OpaqueText.text([0x63, 0xE9])])
      let body = recorder.parts.flatMap {
        if case .body(let part) = $0 { Array(part.readableBytesView) } else { [UInt8]() }
      }
      #expect(body == [0xE9, 0xFF])
      try ask()
    }
    #expect(recorder.faults == [])
  }

  @Test func `a server that takes nothing of a body loses the connection`() throws {
    try begin()
    try ask(.POST, isSent: false)
    try channel.pipeline.syncOperations.addHandler(ReadsNothing(), position: .first)
    let part = HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(string: "abc")))
    channel.write(part, promise: nil)
    channel.embeddedEventLoop.advanceTime(by: .seconds(59))
    #expect(channel.isActive)
    channel.embeddedEventLoop.advanceTime(by: .seconds(1))
    #expect(recorder.faults == [.takesNothing])
    #expect(!channel.isActive)
  }

  @Test func `a client that sends its body slowly does not`() throws {
    try begin()
    try ask(.POST, isSent: false)
    for _ in 0..<3 {
      try channel.writeOutbound(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(string: "abc"))))
      channel.embeddedEventLoop.advanceTime(by: .hours(1))
    }
    #expect(recorder.faults == [])
    #expect(channel.isActive)
  }
}
