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

/// The refusal that the request gets; nil where it is a good hand-shake.
private func refusal(_ lines: [String]) -> HandshakeRefusal? {
  switch parse(bytes(lines)) {
  case .incomplete: return HandshakeRefusal(.timeout)
  case .malformed(let refusal): return refusal
  case .complete(let head, _):
    if case .failure(let refusal) = Handshake.read(head) { return refusal }
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
    #expect(head.wantsWebSocket)
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
  func `what two readers could take for different requests is refused with 400`(_ row: (String, String)) {
    guard case .malformed(let refusal) = parse(Array(row.0.utf8)) else {
      Issue.record("\(row.1) was not refused")
      return
    }
    #expect(refusal.status == 400)
  }

  @Test func `a head that does not end is refused with 431`() {
    let long = Array("GET / HTTP/1.1\r\nHost: a\r\nX: ".utf8) + Array(repeating: 0x61, count: 20_000)
    #expect(parse(long) == .malformed(HandshakeRefusal(.headTooLong)))
    #expect(HandshakeRefusal(.headTooLong).status == 431)
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

  static let refused: [([String], HandshakeRefusal.Reason, Int)] = [
    (replacing(0, "POST / HTTP/1.1"), .methodNotGET, 400),
    (replacing(0, "GET / HTTP/1.0"), .httpVersion, 400),
    (replacing(2, nil), .notAWebSocket, 426), (replacing(2, "Upgrade: h2c"), .notAWebSocket, 426),
    (replacing(3, nil), .badConnectionHeader, 400),
    (replacing(3, "Connection: close"), .badConnectionHeader, 400),
    (replacing(4, nil), .badKey, 400), (replacing(4, "Sec-WebSocket-Key: short"), .badKey, 400),
    (replacing(4, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=!"), .badKey, 400),
    (replacing(5, nil), .unsupportedVersion, 426),
    (replacing(5, "Sec-WebSocket-Version: 8"), .unsupportedVersion, 426),
    (good + ["Sec-WebSocket-Protocol: a, a"], .badSubprotocol, 400),
    (good + ["Sec-WebSocket-Protocol: a b"], .badSubprotocol, 400),
    (good + ["Origin: http://a", "Origin: http://b"], .severalOrigins, 400),
  ]

  @Test(arguments: refused)
  func `each point of section 4.2.1 has its refusal`(_ row: ([String], HandshakeRefusal.Reason, Int)) {
    #expect(refusal(row.0)?.reason == row.1)
    #expect(refusal(row.0)?.status == row.2)
  }

  @Test func `a hand-shake with a body is refused`() {
    #expect(refusal(good + ["Content-Length: 5"])?.status == 400)
    #expect(refusal(good + ["Transfer-Encoding: chunked"])?.status == 400)
    #expect(refusal(good + ["Content-Length: 0"]) == nil)
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

  @Test func `a refusal is a complete answer`() {
    #expect(
      String(decoding: HandshakeRefusal(.noRoute).response(), as: UTF8.self)
        == "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
        + "Content-Length: 31\r\n\r\nThere is nothing at this path.\n")
    let upgrade = String(decoding: HandshakeRefusal(.notAWebSocket).response(), as: UTF8.self)
    #expect(upgrade.contains("\r\nUpgrade: websocket\r\n"))
    #expect(upgrade.contains("\r\nSec-WebSocket-Version: 13\r\n"))
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
