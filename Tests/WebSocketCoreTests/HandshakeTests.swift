import Testing

@testable import WebSocketCore

private let good = [
  "GET /ws/echo/?a=b HTTP/1.1", "Host: localhost:8000", "Upgrade: websocket",
  "Connection: keep-alive, Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
]

private func bytes(_ lines: [String]) -> [UInt8] {
  Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
}

private func parse(_ bytes: [UInt8]) -> RequestHead.Parsed {
  unsafe RequestHead.parse(bytes.span.bytes)
}

/// What is wrong with the request; nil where it is a good hand-shake.
private func fault(in lines: [String]) -> RequestFault? {
  switch parse(bytes(lines)) {
  case .incomplete: return .badRequest("incomplete")
  case .malformed(let fault): return fault
  case .complete(let head, _):
    if case .failure(let fault) = Handshake.read(head) { return fault }
    return nil
  }
}

private func replacing(_ index: Int, _ line: String?) -> [String] {
  var lines = good
  if let line { lines[index] = line } else { lines.remove(at: index) }
  return lines
}

struct RequestHeadTests {
  @Test func `a head is read, with its length`() throws {
    let text = bytes(good)
    guard case .complete(let head, let length) = parse(text + [0x81, 0x80]) else {
      Issue.record("not complete")
      return
    }
    #expect(length == text.count)
    #expect(head.method == "GET")
    #expect(String(decoding: head.target, as: UTF8.self) == "/ws/echo/?a=b")
    #expect(head.values(of: "host") == ["localhost:8000"])
    #expect(head.members(of: "connection") == ["keep-alive", "Upgrade"])
    #expect(head.fields.wantWebSocket)
  }

  @Test func `every beginning of a head is incomplete`() {
    let text = bytes(good)
    for count in 0..<text.count {
      #expect(parse(Array(text.prefix(count))) == .incomplete)
    }
  }

  @Test func `empty lines before the request are passed over`() {
    #expect(parse(Array("\r\n\r\n".utf8)) == .incomplete)
    guard case .complete = parse(Array("\r\n".utf8) + bytes(good)) else {
      Issue.record("not complete")
      return
    }
  }

  static let malformed: [(String, String)] = [
    ("GET / HTTP/1.1\nHost: a\n\n", "a bare line feed"),
    ("GET / HTTP/1.1\rHost: a", "a bare carriage return"),
    ("GET  / HTTP/1.1\r\n\r\n", "two spaces"), ("GET / HTTP/1.1 \r\n\r\n", "a space at the end"),
    ("GET /\r\n\r\n", "HTTP/0.9"),
    ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "no word"),
    ("GET /\u{E9} HTTP/1.1\r\nHost: a\r\n\r\n", "not encoded"),
    ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", "a folded line"),
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "space before the colon"),
    ("GET / HTTP/1.1\r\nHost\r\n\r\n", "no colon"), ("GET / HTTP/1.1\r\n\r\n", "no Host"),
    ("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", "two Hosts"),
    ("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", "a NUL"),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "another version"), ("\u{16}\u{03}\u{01}", "TLS"),
  ]

  @Test(arguments: malformed)
  func `what two readers could take for different requests is malformed`(_ row: (String, String)) {
    switch parse(Array(row.0.utf8)) {
    case .malformed(.badRequest), .malformed(.unsupportedHTTP): break
    case let other: Issue.record("\(row.1) is \(other)")
    }
  }

  @Test func `a head that does not end is too long`() {
    let long = Array("GET / HTTP/1.1\r\nHost: a\r\nX: ".utf8) + Array(repeating: 0x61, count: 20_000)
    #expect(parse(long) == .malformed(.headTooLong))
  }
}

struct HandshakeTests {
  @Test func `the example of RFC 6455 is accepted with its answer`() throws {
    guard case .complete(let head, _) = parse(bytes(good)) else {
      Issue.record("not complete")
      return
    }
    let handshake = try Handshake.read(head).get()
    #expect(
      String(decoding: handshake.response(subprotocol: "chat"), as: UTF8.self)
        == "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n")
  }

  static let refused: [([String], RequestFault)] = [
    (replacing(0, "POST / HTTP/1.1"), .methodNotGET),
    (replacing(0, "GET / HTTP/1.0"), .httpVersion),
    (replacing(2, nil), .notAWebSocket), (replacing(2, "Upgrade: h2c"), .notAWebSocket),
    (replacing(3, nil), .badConnectionHeader),
    (replacing(3, "Connection: close"), .badConnectionHeader),
    (replacing(4, nil), .badKey), (replacing(4, "Sec-WebSocket-Key: short"), .badKey),
    (replacing(4, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=!"), .badKey),
    (replacing(5, nil), .unsupportedVersion),
    (replacing(5, "Sec-WebSocket-Version: 8"), .unsupportedVersion),
    (good + ["Sec-WebSocket-Protocol: a, a"], .badSubprotocol),
    (good + ["Sec-WebSocket-Protocol: a b"], .badSubprotocol),
    (good + ["Origin: http://a", "Origin: http://b"], .severalOrigins),
  ]

  @Test(arguments: refused)
  func `each point of section 4.2.1 has its fault`(_ row: ([String], RequestFault)) {
    #expect(fault(in: row.0) == row.1)
  }

  @Test func `a hand-shake with a body is refused`() {
    let body = RequestFault.badRequest("a WebSocket handshake must not have a body")
    #expect(fault(in: good + ["Content-Length: 5"]) == body)
    #expect(fault(in: good + ["Transfer-Encoding: chunked"]) == body)
    #expect(fault(in: good + ["Content-Length: 0"]) == nil)
  }

  @Test func `the server's preference chooses the subprotocol`() throws {
    guard case .complete(let head, _) = parse(bytes(good + ["Sec-WebSocket-Protocol: v1, v2"])) else {
      Issue.record("not complete")
      return
    }
    let handshake = try Handshake.read(head).get()
    #expect(handshake.chooseSubprotocol(from: ["v2", "v1"]) == "v2")
    #expect(handshake.chooseSubprotocol(from: ["v3"]) == nil)
  }
}

struct ClosePayloadTests {
  @Test func `a reason is cut between two characters`() {
    let payload = ClosePayload.encode(.normal, reason: String(repeating: "é", count: 100))
    #expect(payload.count == 2 + 122)
    #expect(Array(payload.prefix(2)) == [0x03, 0xE8])
  }
}

struct FrameHeaderTests {
  @Test(
    arguments: [
      (0, [0x81, 0]), (125, [0x81, 125]), (126, [0x81, 126, 0, 126]),
      (65536, [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] as [(Int, [UInt8])])
  func `the fewest bytes that can say the length are used`(_ row: (Int, [UInt8])) {
    let header = FrameHeader(opcode: .text, payloadLength: row.0)
    #expect((0..<header.count).map { UInt8(truncatingIfNeeded: header.bytes >> (8 * $0)) } == row.1)
  }
}

struct KeepAliveTests {
  @Test func `a silence is pinged, and silence after that is the end`() {
    var keepAlive = KeepAlive(interval: 10, timeout: 5, startedAt: 0)
    #expect(keepAlive.check(at: 9) == .nothing)
    #expect(keepAlive.check(at: 10) == .sendPing)
    #expect(keepAlive.check(at: 14) == .nothing)
    #expect(keepAlive.check(at: 15) == .timedOut)
    keepAlive.received(at: 15)
    #expect(keepAlive.check(at: 24) == .nothing)
    #expect(keepAlive.check(at: 25) == .sendPing)
  }
}
