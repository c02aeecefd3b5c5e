import TestSupport
import Testing

@testable import WebSocketCore

private func parse(_ text: String, maximumLength: Int = 16 * 1024) -> RequestHead.Parsed {
  unsafe RequestHead.parse(Array(text.utf8).span.bytes, maximumLength: maximumLength)
}

private func isMalformed(_ parsed: RequestHead.Parsed) -> Bool {
  if case .malformed = parsed { true } else { false }
}

struct FieldNameTests {
  @Test(arguments: [
    "host", "Via", "COOKIE", "Upgrade", "User-Agent", "Content-Type", "X-Forwarded-For", "sec-WebSocket-KEY",
    "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Sec-WebSocket-Extensionx", "x", "hosts", "hos",
    "Content_Type", "content^type", "Content-Typ1", "1ost", "a-very-long-name-that-no-table-has",
  ])
  func `names are in lower case, whether they are known or not`(_ name: String) {
    let text = "GET / HTTP/1.1\r\nHost: a\r\n\(name): v\r\n\r\n"
    guard name.lowercased() != "host" else { return #expect(isMalformed(parse(text))) }
    guard case .complete(let head, _) = parse(text) else {
      Issue.record("\(name) is refused")
      return
    }
    #expect(head.fields == [.init(name: "host", value: "a"), .init(name: name.lowercased(), value: "v")])
  }

  @Test(arguments: ["Host", "Host a", "Ho st: a", "Host : a", ": a", "Hos(t): a", "Host\u{1}: a", "Höst: a"])
  func `a line without a name, or with another one, is refused`(_ line: String) {
    #expect(isMalformed(parse("GET / HTTP/1.1\r\nHost: a\r\n\(line)\r\n\r\n")))
  }
}

struct RequestHeadLimitsTests {
  @Test(arguments: [
    "a", "a:80", "[::1]:8000", "[fe80::1%25eth0]", "xn--bcher-kva.example.", "1.2.3.4", "%C3%A9.example",
  ])
  func `a host and a port are a Host header`(_ host: String) {
    guard case .complete(let head, _) = parse("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n") else {
      Issue.record("\(host) is refused")
      return
    }
    #expect(head.values(of: "host") == [host])
  }

  @Test(arguments: ["a b", "a/b", "http://a", "user@a", "a?b", "a#b", "a\\b", "\"a\"", "<a>", "a\tb", "é"])
  func `anything else is not`(_ host: String) {
    #expect(isMalformed(parse("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")))
  }

  @Test(arguments: ["", ":80"])
  func `an empty host is none (RFC 9110 section 4.2.1)`(_ host: String) {
    #expect(isMalformed(parse("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")))
  }

  @Test(
    arguments: [
      ("http://a/x?y", "/x?y"), ("HTTP://A:80", "/"), ("ws://a?y", "/?y"), ("wss://a:443/", "/"), ("*", "*"),
      ("//other/x", "//other/x"), ("http://other/", nil), ("http://a:8000/", nil), ("http://user@a/", nil),
      ("http:///x", nil), ("ftp://a/", nil), ("x", nil), ("a:443", nil),
    ] as [(String, String?)])
  func `a target names the host that is asked (RFC 9112 section 3.2)`(_ target: String, _ read: String?) {
    switch parse("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n") {
    case .complete(let head, _): #expect(String(decoding: head.target, as: UTF8.self) == read)
    case .malformed: #expect(read == nil)
    case .incomplete: Issue.record("\(target) is incomplete")
    }
  }

  @Test(
    arguments: [
      ("HTTP/1.2", 1), ("HTTP/1.9", 1), ("HTTP/2.0", nil), ("HTTP/0.9", nil), ("HTTP/1.", nil),
      ("HTTP/1.10", nil),
      ("http/1.1", nil),
    ] as [(String, Int?)])
  func `a later minor version is read as HTTP 1_1 (RFC 9110 section 2.5)`(_ version: String, _ minor: Int?) {
    switch parse("GET / \(version)\r\nHost: a\r\n\r\n") {
    case .complete(let head, _): #expect(head.minorVersion == minor)
    case .malformed(let fault):
      #expect(minor == nil)
      #expect(fault == .unsupportedHTTP)
    case .incomplete: Issue.record("\(version) is incomplete")
    }
  }

  @Test func `HTTP 1_0 needs no Host`() {
    #expect(
      parse("GET / HTTP/1.0\r\n\r\n")
        == .complete(
          RequestHead(method: "GET", target: Array("/".utf8), minorVersion: 0, fields: []), length: 18))
  }

  @Test func `values lose the white space around them, and keep what is inside`() {
    guard case .complete(let head, _) = parse("GET / HTTP/1.1\r\nHost:a\r\nX-Y: \t b \t c \t\r\nz:\r\n\r\n")
    else {
      Issue.record("not complete")
      return
    }
    #expect(
      head.fields == [
        .init(name: "host", value: "a"), .init(name: "x-y", value: "b \t c"), .init(name: "z", value: ""),
      ])
  }

  @Test func `the limit is the last byte of the head that may come`() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for limit in 1..<text.utf8.count {
      #expect(parse(text, maximumLength: limit) == .malformed(.headTooLong), "\(limit)")
    }
    guard case .complete(_, let length) = parse(text + "more", maximumLength: text.utf8.count) else {
      Issue.record("not complete")
      return
    }
    #expect(length == text.utf8.count)
  }

  @Test func `a flood of empty lines is bounded`() {
    #expect(
      parse(String(repeating: "\r\n", count: 8192)) == .malformed(.headTooLong))
  }

  @Test func `no bytes whatever do harm`() {
    var generator = SplitMix(seed: 17)
    let good = Array("GET /a HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".utf8)
    for _ in 0..<10_000 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(
          in: 0...255, using: &generator)
      }
      guard case .complete(let head, let length) = unsafe RequestHead.parse(bytes.span.bytes) else {
        continue
      }
      #expect(length <= bytes.count)
      _ = Handshake.read(head)
    }
  }
}

struct WantsWebSocketTests {
  @Test(arguments: [
    ("Upgrade: WebSocket", true), ("Upgrade: h2c, websocket", true), ("Sec-WebSocket-Key: x", true),
    ("Upgrade: h2c", false), ("Accept: websocket", false),
  ])
  func `what is meant to be a WebSocket is known by its headers`(_ row: (String, Bool)) {
    guard case .complete(let head, _) = parse("GET / HTTP/1.1\r\nHost: a\r\n\(row.0)\r\n\r\n") else {
      Issue.record("not complete")
      return
    }
    #expect(head.fields.wantWebSocket == row.1)
  }
}

struct LastRequestTests {
  @Test(arguments: [
    ("1.1", "", false), ("1.1", "Connection: keep-alive\r\n", false), ("1.1", "Connection: close\r\n", true),
    ("1.1", "Connection: TE\r\nConnection: x, Close\r\n", true), ("1.1", "Connection: closed\r\n", false),
    ("1.0", "", true), ("1.0", "Connection: Keep-Alive\r\n", false),
    ("1.0", "Connection: keep-alive, close\r\n", true),
  ])
  func `the last request of a connection is the one that says so, or an old one that does not`(
    version: String, fields: String, isLast: Bool
  ) throws {
    guard case .complete(let head, _) = parse("GET / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n") else {
      Issue.record("the head is refused")
      return
    }
    #expect(head.isLast == isLast)
  }
}
