import Testing

@testable import WebSocketCore

/// The example of RFC 6455 section 1.3.
private let handshake = ClientHandshake(
  target: "/chat?a=b", host: "server.example.com", subprotocols: ["chat", "superchat"],
  fields: [HeaderField(name: "origin", value: "http://example.com")], nonce: Array("the sample nonce".utf8))

private let good = [
  "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Protocol: chat",
]

private func parse(_ lines: [String]) -> ResponseHead.Parsed {
  unsafe ResponseHead.parse(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8).span.bytes)
}

private func check(_ lines: [String]) -> Result<String?, ClientHandshake.Failure>? {
  guard case .complete(let head, _) = parse(lines) else { return nil }
  return handshake.check(head)
}

private func isMalformed(_ result: Result<String?, ClientHandshake.Failure>?) -> Bool {
  if case .failure(.malformed) = result { true } else { false }
}

struct ClientHandshakeTests {
  @Test func `the request asks what section 4_1 says`() {
    let lines = String(decoding: handshake.request, as: UTF8.self).components(of: "\r\n")
    #expect(
      lines == [
        "GET /chat?a=b HTTP/1.1", "Host: server.example.com", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: chat, superchat", "origin: http://example.com", "", "",
      ])
  }

  @Test func `our own server understands it, and it our server's answer`() throws {
    guard case .complete(let head, _) = unsafe RequestHead.parse(handshake.request.span.bytes),
      case .success(let server) = Handshake.read(head)
    else {
      Issue.record("not understood")
      return
    }
    let answer = server.response(
      subprotocol: "superchat", fields: [HeaderField(name: "set-cookie", value: "a=b")])
    guard case .complete(let response, let length) = unsafe ResponseHead.parse(answer.span.bytes) else {
      Issue.record("not complete")
      return
    }
    #expect(length == answer.count)
    #expect(response.fields.values(of: "set-cookie") == ["a=b"])
    #expect(handshake.check(response) == .success("superchat"))
  }

  @Test func `the answer of the RFC is good, with a subprotocol and without`() {
    #expect(check(good) == .success("chat"))
    #expect(check(Array(good.dropLast())) == .success(nil))
  }

  @Test(arguments: [
    "Upgrade: h2c", "Connection: close", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO=",
    "Sec-WebSocket-Protocol: other", "Sec-WebSocket-Protocol: Chat",
  ])
  func `a line that is not as it must be spoils the answer`(_ line: String) throws {
    let name = try #require(line.components(of: ":").first)
    #expect(isMalformed(check(good.map { $0.hasPrefix(name + ":") ? line : $0 })))
    if !line.hasPrefix("Sec-WebSocket-Protocol") {
      #expect(isMalformed(check(good.filter { !$0.hasPrefix(name + ":") })))
    }
  }

  @Test func `an extension or a second choice that nobody asked for spoils it too`() {
    #expect(isMalformed(check(good + ["Sec-WebSocket-Extensions: permessage-deflate"])))
    #expect(isMalformed(check(good + ["Sec-WebSocket-Protocol: superchat"])))
    #expect(isMalformed(check(good + ["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="])))
  }

  @Test(arguments: [
    ("permessage-deflate; server_no_context_takeover", true),
    (
      "permessage-deflate; client_no_context_takeover; server_max_window_bits=9; server_no_context_takeover",
      true
    ),
    ("permessage-deflate", false),
    ("permessage-deflate; server_no_context_takeover; client_max_window_bits=9", false),
    ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", false),
    ("permessage-deflate; server_no_context_takeover, permessage-deflate; server_no_context_takeover", false),
    ("x; server_no_context_takeover", false), ("permessage-deflate; =", false),
  ])
  func `where compression is offered, the answer grants what was asked and asks nothing more`(
    _ value: String, _ isGood: Bool
  ) throws {
    var handshake = handshake
    handshake.offersCompression = true
    #expect(
      String(decoding: handshake.request, as: UTF8.self).contains(
        "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
      ))
    guard case .complete(let plain, _) = parse(good),
      case .complete(let answer, _) = parse(good + ["Sec-WebSocket-Extensions: \(value)"])
    else {
      Issue.record("not complete")
      return
    }
    #expect(handshake.check(plain) == .success("chat"))
    #expect(!handshake.agreesOnCompression(plain))
    #expect((handshake.check(answer) == .success("chat")) == isGood)
    #expect(isMalformed(handshake.check(answer)) == !isGood)
    #expect(handshake.agreesOnCompression(answer))
  }

  @Test func `any other status is a refusal`() {
    #expect(check(["HTTP/1.1 403 Forbidden", "Content-Length: 0"]) == .failure(.refused))
    #expect(check(["HTTP/1.0 200"]) == .failure(.refused))
  }

  @Test func `every beginning of an answer is incomplete`() {
    let bytes = Array((good.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    for count in 0..<bytes.count {
      #expect(unsafe ResponseHead.parse(Array(bytes.prefix(count)).span.bytes) == .incomplete)
    }
  }

  @Test(arguments: [
    ["ICY 200 OK"], ["HTTP/2 200 OK"], ["HTTP/1.1 20 OK"], ["HTTP/1.1 099 x"], ["HTTP/1.1 +10 x"],
    ["HTTP/1.1 200 OK", "no colon"], ["HTTP/1.1 200 OK", " folded: x"], ["HTTP/1.1 200 OK", "a b: x"],
  ])
  func `what is no response is malformed`(_ lines: [String]) {
    guard case .malformed = parse(lines) else {
      Issue.record("\(parse(lines))")
      return
    }
  }

  @Test func `a head that does not end is given up`() {
    let line = Array("HTTP/1.1 200 OK\r\na: ".utf8) + Array(repeating: UInt8(ascii: "x"), count: 64 * 1024)
    guard case .malformed = unsafe ResponseHead.parse(line.span.bytes) else {
      Issue.record("taken")
      return
    }
  }
}

extension String {
  fileprivate func components(of separator: Character) -> [String] {
    split(separator: separator, omittingEmptySubsequences: false).map(String.init)
  }
}
