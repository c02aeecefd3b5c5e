import GatewayConfig
import GatewayTestSupport
import LayerTestSupport
import TestSupport
import Testing
import WebSocketCore

@testable import Gateway
@testable import Sessions
@testable import Transport

private let application = """
  installed_apps: [echo, broadcast]
  channel_layers: {default: {backend: memory}}
  server: {trusted_proxies: [unix]}
  limits: {handshake: 5s, keep_alive: 20s, per_ip: {connections: 2}}
  auth: {users: {jwt: {secret: "a secret of sixty-four bytes, which is enough for all of HS256-512", algorithms: [HS256]}}}
  applications:
    main:
      http:
        - {path: hello/, respond: hello}
        - {path: gone/, respond: {status: 204}}
        - {path: made/, respond: {status: 201, body: made, headers: {X-Note: "yes", Date: then}}}
        - {path: "old/<str:x>/", redirect: {to: "/new/{x}/", status: 308}}
        - {path: ready, health: ready}
        - {path: events/, events: news}
        - {path: large/, respond: "LARGE"}
        - {path: open/, publish: {groups: "*", anonymous: true, body: 1KiB}}
        - {path: signed/, publish: {groups: signed, body: 1KiB}, auth: users}
        - {path: files/, static: "FILES"}
      websocket:
        - {path: ws/echo/, consumer: echo}
        - {path: ws/news/, consumer: broadcast, group: news}
        - {path: ws/signed/, consumer: broadcast, group: signed, shared: true}
  """

private func request(
  _ line: String, _ fields: String..., version: String = "1.1", body: String = ""
) -> String {
  ([line + " HTTP/\(version)", "Host: a"] + fields).map { $0 + "\r\n" }.joined() + "\r\n" + body
}

private let hello = request("GET /hello/")
private let file = request("GET /files/a.txt")

/// Answers without their dates.
private func undated(_ text: String) -> String {
  text.replacing(/Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/, with: "")
}

private func answer(_ status: String, _ body: String, close: Bool = false) -> String {
  "HTTP/1.1 \(status)\r\nContent-Type: text/plain; charset=utf-8\r\n" + (close ? "Connection: close\r\n" : "")
    + "Content-Length: \(body.utf8.count)\r\n\r\n" + body
}

/// Plain requests that are answered on the reactor.
struct HTTPConnectionTests {
  private func serving(_ body: (TurnedWorker) async throws -> Void) async throws {
    let folder = try TemporaryFolder()
    try folder.write("a file", as: "a.txt")
    let text = application.replacing("FILES", with: folder.path("")).replacing(
      "LARGE", with: String(repeating: "0123456789", count: 20_000))
    try await TurnedWorker.serving(text) { scene in
      try await body(scene)
      withExtendedLifetime(folder) {}
    }
  }

  /// All that is answered, until the end of the connection if there is one.
  private func exchange(_ scene: TurnedWorker, _ text: String...) throws -> String {
    let client = try scene.ask(text.joined())
    defer { client.hangUp() }
    return undated(client.plain())
  }

  // MARK: - Answers

  @Test func `answers are whole, and say of the connection what is to be said`() async throws {
    try await serving { scene in
      #expect(try exchange(scene, hello) == answer("200 OK", "hello"))
      let close = request("GET /hello/", "Connection: x, CLOSE")
      #expect(try exchange(scene, close) == answer("200 OK", "hello", close: true))
      #expect(
        try exchange(scene, request("GET /made/"))
          == "HTTP/1.1 201 Created\r\nX-Note: yes\r\nDate: then\r\nContent-Type: text/plain; charset=utf-8\r\n"
          + "Content-Length: 4\r\n\r\nmade")
      #expect(try exchange(scene, request("GET /gone/")) == "HTTP/1.1 204 No Content\r\n\r\n")
      let moved = try exchange(scene, request("GET /old/a%20b/?q=1"))
      #expect(moved.hasPrefix("HTTP/1.1 308 Permanent Redirect\r\n"))
      #expect(moved.contains("\r\nLocation: /new/a%20b/?q=1\r\n"))
      #expect(try exchange(scene, request("GET /ready")).hasSuffix("\r\n\r\nready\n"))
      #expect(try exchange(scene, request("GET /nowhere")).hasPrefix("HTTP/1.1 404 "))
      let upgrade = try exchange(scene, request("GET /ws/echo/"))
      #expect(upgrade.hasPrefix("HTTP/1.1 426 ") && upgrade.contains("\r\nConnection: Upgrade\r\n"))
      #expect(try exchange(scene, request("OPTIONS *")) == "HTTP/1.1 204 No Content\r\n\r\n")
      #expect(try exchange(scene, request("POST /events/")).contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"))
      scene.settle()
      #expect(scene.connections == 0)
    }
  }

  @Test func `an answer to HEAD is the same without its body`() async throws {
    try await serving { scene in
      let head = try exchange(scene, request("HEAD /hello/"), hello)
      let text = answer("200 OK", "hello")
      #expect(head == text.dropLast(5) + text)
    }
  }

  @Test func `a client of HTTP 1.0 is told if its connection goes on`() async throws {
    try await serving { scene in
      let client = try scene.ask(request("GET /hello/", "Connection: Keep-Alive", version: "1.0"))
      #expect(client.plain().contains("\r\nConnection: keep-alive\r\n"))
      client.send(request("GET /hello/", version: "1.0"))
      scene.settle()
      #expect(client.plain().contains("\r\nConnection: close\r\n"))
      #expect(client.heard() == ["end"])
    }
  }

  @Test func `a connection that might go on in another protocol is closed`() async throws {
    try await serving { scene in
      let client = try scene.ask(request("GET /hello/", "Connection: Upgrade", "Upgrade: h2c") + hello)
      #expect(undated(client.plain()) == answer("200 OK", "hello", close: true))
      #expect(client.heard() == ["end"])
    }
  }

  // MARK: - One after the other

  private static let requests =
    hello + "\r\n\r\n" + request("POST /hello/", "Content-Length: 3", body: "GET")
    + request("POST /hello/", "Transfer-Encoding: chunked", body: "3;x=y\r\nGET\r\n0\r\nX: y\r\n\r\n")
    + request("HEAD /hello/") + request("GET /gone/", "Connection: close")

  private static var answers: String {
    let text = answer("200 OK", "hello")
    return text + text + text + text.dropLast(5) + "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
  }

  @Test func `requests that come at once are answered one after the other`() async throws {
    try await serving { scene in
      let few = try exchange(scene, Self.requests, hello)
      #expect(few == Self.answers)
      let many = try scene.ask(String(repeating: hello, count: 500))
      #expect(scene.readOutPlain(many).components == 500)
    }
  }

  @Test func `however requests are split, the answers are the same`() async throws {
    try await serving { scene in
      let bytes = Array((hello + request("GET /nowhere") + request("GET /gone/", "Connection: close")).utf8)
      let whole = try exchange(scene, String(decoding: bytes, as: UTF8.self))
      for end in 1..<bytes.count {
        let client = try scene.connect()
        client.send(bytes[..<end])
        scene.settle()
        client.send(bytes[end...])
        scene.settle()
        #expect(undated(client.plain()) == whole, "after \(end) bytes")
        client.hangUp()
      }
      let client = try scene.connect()
      for byte in bytes {
        client.send([byte])
        scene.settle()
      }
      #expect(undated(client.plain()) == whole)
    }
  }

  @Test func `a body that is not there when its request is answered ends the connection`() async throws {
    try await serving { scene in
      for head in [
        "Content-Length: 3", "Transfer-Encoding: chunked", "Expect: 100-continue\r\nContent-Length: 3",
      ] {
        let client = try scene.ask(request("POST /hello/", head))
        #expect(undated(client.plain()) == answer("200 OK", "hello", close: true))
        client.send("abc" + hello)
        scene.settle()
        #expect(client.heard() == ["end"])
        scene.pass(.milliseconds(2100))
        #expect(scene.connections == 0)
      }
    }
  }

  // MARK: - Bodies that are wanted

  private static let json = #"{"group":"news","event":{"type":"broadcast.message","text":"x"}}"#

  private static func publish(_ fields: String..., body: String) -> String {
    let all = ["POST /open/ HTTP/1.1", "Host: a", "Content-Type: application/json"] + fields
    return all.map { $0 + "\r\n" }.joined() + "\r\n" + body
  }

  private static let published = publish("Content-Length: \(json.utf8.count)", body: json)

  @Test func `events are published one after the other, however their requests are split`() async throws {
    try await serving { scene in
      let subscriber = try scene.open("/ws/news/")
      let chunks =
        "10;x\r\n" + Self.json.prefix(16) + "\r\n"
        + String(Self.json.utf8.count - 16, radix: 16) + "\r\n" + Self.json.dropFirst(16) + "\r\n0\r\n\r\n"
      let requests =
        Self.published + Self.publish("Transfer-Encoding: chunked", body: chunks) + Self.published + hello
      var client = try scene.ask(requests)
      let whole = undated(scene.readOutPlain(client))
      #expect(whole.components == 4 && whole.split(separator: #""sessions":1"#).count == 4)
      #expect(subscriber.heard() == Array(repeating: "text x", count: 3))
      client = try scene.connect()
      for byte in requests.utf8 {
        client.send([byte])
        scene.settle()
      }
      #expect(undated(client.plain()) == whole)
    }
  }

  @Test func `a head that comes again is read as before, and refused as before`() async throws {
    try await serving { scene in
      let client = try scene.ask(Self.published)
      let first = undated(client.plain())
      #expect(first.hasPrefix("HTTP/1.1 200 "))
      // The same head; with another length, of a body in parts; with a body that is too long.
      client.send(Self.published)
      scene.settle()
      #expect(undated(client.plain()) == first)
      let shorter = Self.json.replacing("x", with: "")
      client.send(Self.publish("Content-Length: \(shorter.utf8.count)", body: "{"))
      scene.settle()
      #expect(client.plain() == "")
      client.send(String(shorter.dropFirst()) + Self.published)
      scene.settle()
      #expect(client.plain().split(separator: "HTTP/1.1 200 ").count == 2)
      // Of another connection, and one of which a part is different.
      let other = try scene.ask(Self.published)
      #expect(undated(other.plain()) == first)
      other.send(Self.published.replacing("application/json", with: "application/jsox"))
      scene.settle()
      #expect(other.plain().hasPrefix("HTTP/1.1 415 "))
      other.send(Self.publish("Content-Length: 1025", body: ""))
      scene.settle()
      #expect(other.plain().hasPrefix("HTTP/1.1 413 "))
    }
  }

  @Test func `a head that comes again is judged by what is served then`() async throws {
    try await serving { scene in
      let client = try scene.ask(Self.published + Self.published)
      #expect(client.plain().split(separator: "HTTP/1.1 200 ").count == 2)
      let stricter = application.replacing(#"groups: "*""#, with: "groups: other")
        .replacing("FILES", with: "/").replacing("LARGE", with: "large")
      let routes = scene.gateway.process.routes(of: try ConfigurationLoader.configuration(of: stricter))
      scene.gateway.serve(routes)
      client.send(Self.published)
      scene.settle()
      #expect(client.plain().hasPrefix("HTTP/1.1 403 "))
    }
  }

  @Test func `a client is told to go on when its body is wanted, and only then`() async throws {
    try await serving { scene in
      let length = "Content-Length: \(Self.json.utf8.count)"
      let client = try scene.ask(Self.publish("Expect: 100-Continue", length, body: ""))
      #expect(client.plain() == "HTTP/1.1 100 Continue\r\n\r\n")
      client.send(Self.json)
      scene.settle()
      #expect(client.plain().hasPrefix("HTTP/1.1 200 ") && !client.isOver)
      let large = try scene.ask(Self.publish("Expect: 100-Continue", "Content-Length: 1025", body: ""))
      #expect(large.plain().hasPrefix("HTTP/1.1 413 "))
      #expect(large.heard() == ["end"])
      let none = try scene.ask(request("POST /open/", "Content-Type: application/json"))
      #expect(none.plain().contains("the request has no body") && !none.isOver)
    }
  }

  @Test func `a body that does not come in time is refused, and one that breaks off is no HTTP`() async throws
  {
    try await serving { scene in
      let head = Self.publish("Content-Length: 100", body: "{")
      let late = try scene.ask(head)
      scene.pass(.milliseconds(4900))
      #expect(late.plain() == "")
      scene.pass(.milliseconds(200))
      #expect(late.plain().hasPrefix("HTTP/1.1 408 "))
      #expect(late.heard() == ["end"])
      let broken = try scene.ask(head)
      broken.finish()
      scene.settle()
      #expect(broken.plain().contains("the request ends too early"))
      let gone = try scene.ask(head)
      gone.hangUp()
      scene.pass(.milliseconds(2100))
      #expect(scene.connections == 0)
    }
  }

  // MARK: - Faults

  private static let faults: [(String, String)] = [
    (
      request("POST /hello/", "Content-Length: 3", "Transfer-Encoding: chunked"),
      "400 beside a Content-Length"
    ),
    (request("POST /hello/", "Transfer-Encoding: gzip"), "400 a transfer coding other than chunked"),
    (
      request("POST /hello/", "Transfer-Encoding: chunked", body: "zz\r\n"),
      "400 does not begin with its size"
    ),
    (request("POST /hello/", "Content-Length: x"), "400 the Content-Length header is not one number"),
    (request("BREW /hello/"), "501 The method of the request is not supported"),
    ("GET /hello/ HTTP/1.1\r\n\r\n", "400 there is no Host header"),
    ("GET /hello/ HTTP/2.0\r\n\r\n", "400 Only HTTP/1.0 and HTTP/1.1 are supported"),
    ("GET /hello/ HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "y", count: 16 * 1024), "431 too long"),
    ("\u{1}\r\n\r\n", "400 control characters"),
  ]

  @Test(arguments: faults)
  func `what is no HTTP is answered with the reason, and is the end`(
    _ bytes: String, _ expected: String
  ) async throws {
    try await serving { scene in
      for before in ["", hello] {
        let client = try scene.ask(before + bytes)
        let text = undated(client.plain())
        let known = before.isEmpty ? "" : answer("200 OK", "hello")
        #expect(text.hasPrefix(known + "HTTP/1.1 \(expected.prefix(3)) "))
        #expect(text.contains(expected.dropFirst(4)) && text.contains("\r\nConnection: close\r\n"))
        client.send(hello)
        scene.settle()
        #expect(client.heard() == ["end"])
        scene.pass(.milliseconds(2100))
        #expect(scene.connections == 0)
      }
      #expect(!scene.lines("refused").isEmpty)
    }
  }

  @Test func `what is for no resource is refused, and the connection goes on or not`() async throws {
    try await serving { scene in
      let connect = try exchange(scene, hello, request("CONNECT a:443"))
      #expect(connect.contains("HTTP/1.1 501 Not Implemented\r\n") && connect.contains("Connection: close"))
      let bad = try exchange(scene, request("GET /%zz"), hello)
      #expect(bad.hasPrefix("HTTP/1.1 400 ") && bad.hasSuffix("hello"))
      #expect(try exchange(scene, request("GET *")).contains("The target * is for OPTIONS only."))
    }
  }

  // MARK: - Time

  @Test func `a silent connection is closed, and half a head is refused`() async throws {
    try await serving { scene in
      let idle = try scene.ask(hello)
      _ = idle.plain()
      let begun = try scene.ask(hello + "GET /hel")
      _ = begun.plain()
      scene.pass(.milliseconds(4900))
      #expect(begun.plain() == "")
      scene.pass(.milliseconds(200))
      #expect(begun.plain().hasPrefix("HTTP/1.1 408 "))
      scene.pass(.seconds(14))
      #expect(!idle.isOver)
      idle.send(hello)
      scene.pass(.seconds(19))
      #expect(idle.plain().hasSuffix("hello") && !idle.isOver)
      scene.pass(.milliseconds(1100))
      #expect(idle.heard() == ["end"])
      idle.hangUp()
      scene.settle()
      #expect(scene.connections == 0)
    }
  }

  @Test func `a client that takes no answers has no further request read, and is let go in the end`()
    async throws
  {
    try await serving { scene in
      let client = try scene.connect()
      let bytes = Array(String(repeating: request("GET /large/"), count: 1000).utf8)
      let taken = scene.push(bytes, from: client)
      // What waits is the answers of one turn.
      #expect(scene.waitingBytes < 1_500_000 && scene.waitingBytes > 0)
      scene.pass(.seconds(29))
      #expect(scene.connections == 1)
      scene.pass(.seconds(2))
      #expect(scene.connections == 0 && scene.waitingBytes == 0)
      #expect(taken > 0)
    }
  }

  @Test func `a client that takes its answers late gets all of them`() async throws {
    try await serving { scene in
      let client = try scene.connect()
      client.send(
        String(repeating: request("GET /large/"), count: 50) + request("GET /gone/", "Connection: close"))
      scene.settle()
      scene.pass(.seconds(20))
      let text = scene.readOutPlain(client)
      #expect(
        text.components == 50 && undated(text).hasSuffix(" 204 No Content\r\nConnection: close\r\n\r\n"))
      #expect(client.isOver)
    }
  }

  @Test func `a client that closes its side has its answers first`() async throws {
    try await serving { scene in
      let client = try scene.connect()
      client.send(hello + hello)
      client.finish()
      scene.settle()
      #expect(client.plain().components == 2 && client.isOver)
      let half = try scene.ask(hello + "GET /")
      half.finish()
      scene.settle()
      #expect(half.plain().contains("the request ends too early"))
      scene.settle()
      #expect(scene.connections == 0)
    }
  }

  // MARK: - What becomes of connections

  @Test func `a session follows on the same connection, with the frames right behind its request`()
    async throws
  {
    try await serving { scene in
      let client = try scene.connect()
      client.send(
        Array((hello + TurnedWorker.handshake("/ws/echo/")).utf8) + client.frame(.text, Array("first".utf8)))
      scene.settle()
      #expect(client.head()?.hasPrefix("HTTP/1.1 200 ") == true)
      #expect(client.head()?.hasPrefix("helloHTTP/1.1 101 ") == true)
      #expect(client.heard() == ["text first"])
      #expect((scene.sessions, scene.connections) == (1, 1))
      // No deadline of the connection that it was is left.
      scene.pass(.seconds(25))
      client.text("later")
      scene.settle()
      #expect(client.heard().last == "text later")
      client.hangUp()
      scene.settle()
      #expect((scene.sessions, scene.connections) == (0, 0))
      let pieces = try scene.ask(hello + "GET /ws/echo/ HT")
      pieces.send(
        Array(TurnedWorker.handshake("/ws/echo/").utf8.dropFirst("GET /ws/echo/ HT".utf8.count))
          + pieces.frame(.ping))
      scene.settle()
      #expect(pieces.head() != nil && pieces.head()?.hasPrefix("helloHTTP/1.1 101 ") == true)
      #expect(pieces.heard() == ["pong"])
    }
  }

  @Test func `so do an event stream, and a refusal`() async throws {
    try await serving { scene in
      let client = try scene.ask(hello + request("GET /events/"))
      #expect(client.plain().contains("text/event-stream"))
      #expect(scene.members(of: "news") == 1)
      let refused = try scene.ask(hello + TurnedWorker.handshake("/nowhere/"))
      #expect(refused.plain().contains("HTTP/1.1 404 "))
      client.hangUp()
      refused.hangUp()
      scene.settle()
      #expect((scene.sessions, scene.connections) == (0, 0))
    }
  }

  @Test func `files are served in between, and nothing behind their requests is lost`() async throws {
    try await serving { scene in
      let client = try scene.connect()
      client.send(
        Array((hello + file + hello + file + file + TurnedWorker.handshake("/ws/echo/")).utf8)
          + client.frame(.text, Array("first".utf8)))
      var heads: [String] = []
      try await scene.until {
        while let head = client.head() { heads.append(head) }
        return heads.count == 6
      }
      let bodies = heads.dropFirst().map { String($0.prefix { $0 != "H" }) }
      #expect(bodies == ["hello", "a file", "hello", "a file", "a file"])
      var frames: [String] = []
      try await scene.until {
        frames += client.heard()
        return !frames.isEmpty
      }
      #expect(frames == ["text first"])
      #expect((scene.sessions, scene.connections) == (1, 1))
      client.hangUp()
      scene.settle()
      #expect((scene.sessions, scene.connections) == (0, 0))
    }
  }

  @Test func `a client that is gone before its file could be served leaves nothing behind`() async throws {
    try await serving { scene in
      for text in [
        file, hello + file, hello + file + hello, Self.published + file, hello + hello + file + file,
      ] {
        let client = try scene.connect()
        client.send(text)
        client.hangUp()
        scene.settle()
      }
      try await scene.until { scene.connections == 0 }
    }
  }

  @Test func `what a client has asked for before it was gone is done, although each request has to wait`()
    async throws
  {
    let end = 4_000_000_000
    let token = try await TokenMaker(.hs256).token("{\"sub\":\"ann\",\"exp\":\(end)}")
    let json = #"{"group":"signed","text":"x"}"#
    let signed = Self.publish(
      "Authorization: Bearer \(token)", "Content-Length: \(json.utf8.count)", body: json
    ).replacing("/open/", with: "/signed/")
    try await serving { scene in
      let subscriber = try scene.open("/ws/signed/")
      let client = try scene.connect()
      client.send(signed + signed + signed)
      client.hangUp()
      var heard: [String] = []
      try await scene.until {
        heard += subscriber.heard()
        return heard.count == 3
      }
      try await scene.until { scene.connections == 1 }
    }
  }

  @Test func `the clients of a proxy are counted while their requests are answered`() async throws {
    try await serving { scene in
      let from = "X-Forwarded-For: 203.0.113.7"
      let large = try (0..<2).map { _ in
        try scene.ask(String(repeating: request("GET /large/", from), count: 4))
      }
      #expect(scene.addresses == 1 && scene.waitingBytes > 0)
      let refused = try scene.ask(
        request("GET /hello/", from) + request("GET /hello/", "X-Forwarded-For: 203.0.113.8"))
      let text = refused.plain()
      #expect(text.hasPrefix("HTTP/1.1 429 ") && text.hasSuffix("hello"))
      for client in large { _ = scene.readOutPlain(client) }
      #expect(scene.addresses == 0)
      refused.send(request("GET /hello/", from))
      scene.settle()
      #expect(refused.plain().hasPrefix("HTTP/1.1 200 "))
      #expect(scene.addresses == 0)
    }
  }

  @Test func `a stop closes those that wait, refuses half a head and takes one request more`() async throws {
    try await serving { scene in
      let idle = try scene.ask(hello)
      let quick = try scene.ask(hello)
      let begun = try scene.ask(hello + "GET /")
      let late = try scene.ask(hello)
      for client in [idle, quick, begun, late] { _ = client.plain() }
      let slow = try scene.ask(request("GET /large/"))
      late.send(hello + hello)
      let reports = scene.stop()
      scene.settle()
      // Whoever does not know of the stop yet is answered.
      quick.send(hello + hello)
      scene.settle()
      #expect(undated(quick.plain()) == answer("200 OK", "hello", close: true) && quick.isOver)
      #expect(!idle.isOver)
      scene.pass(.milliseconds(400))
      #expect(!idle.isOver)
      scene.pass(.milliseconds(200))
      #expect(idle.heard() == ["end"])
      #expect(begun.plain().contains("HTTP/1.1 503 Service Unavailable\r\n"))
      #expect(undated(late.plain()) == answer("200 OK", "hello", close: true))
      #expect(reports.count == 0)
      #expect(scene.readOutPlain(slow).hasSuffix("0123456789"))
      scene.pass(.milliseconds(100))
      #expect(slow.heard() == ["end"])
      for client in [idle, quick, begun, late, slow] { client.hangUp() }
      scene.settle()
      #expect((reports.count, scene.connections) == (1, 0))
    }
  }

  @Test func `a request that has come and waits for its turn is answered in spite of a stop`() async throws {
    try await serving { scene in
      let client = try scene.ask(String(repeating: request("GET /large/"), count: 4) + hello)
      #expect(scene.waitingBytes > 0)
      let reports = scene.stop()
      scene.settle()
      let text = scene.readOutPlain(client)
      #expect(text.components > 1 && text.contains("\r\nConnection: close\r\n"))
      #expect(text.hasSuffix("0123456789") && client.isOver)
      client.hangUp()
      scene.settle()
      #expect((reports.count, scene.connections) == (1, 0))
    }
  }

  @Test func `half of a short stop is left for the end`() async throws {
    try await serving { scene in
      let idle = try scene.ask(hello)
      _ = idle.plain()
      _ = scene.stop(grace: .milliseconds(100))
      scene.settle()
      #expect(!idle.isOver)
      scene.pass(.milliseconds(100))
      #expect(idle.heard() == ["end"])
    }
  }

  @Test func `when the time for a stop is over, nothing is waited for any more`() async throws {
    try await serving { scene in
      let slow = try scene.ask(String(repeating: request("GET /large/"), count: 3))
      let reports = scene.stop()
      scene.settle()
      scene.worker.handle(.abandon)
      scene.settle()
      #expect((reports.count, scene.connections, slow.isOver) == (1, 0, true))
    }
  }

  // MARK: - Whatever comes

  private static let pieces = [
    hello, hello, "\r\n\r\n" + hello, request("POST /hello/", "Content-Length: 3", body: "GET"),
    request("POST /hello/", "Transfer-Encoding: chunked", body: "3;x=y\r\nGET\r\n0\r\nX: y\r\n\r\n"),
    request("HEAD /hello/"), request("GET /gone/"), request("GET /nowhere"), published,
    request("GET /large/"),
  ]

  /// Sends the bytes in parts, which the gateway reads one by one or together.
  private func send(_ bytes: [UInt8], from client: TestPeer, _ scene: TurnedWorker, _ random: inout SplitMix)
  {
    var rest = bytes[...]
    while !rest.isEmpty {
      let part = rest.prefix(Int.random(in: 1...200, using: &random))
      client.send(part)
      rest = rest.dropFirst(part.count)
      if Bool.random(using: &random) { scene.settle() }
    }
  }

  /// Every second seed has files among it, which the HTTP service serves on a thread of its own.
  @Test(arguments: 0..<8)
  func `whatever comes and however it is split, every connection comes to its end`(_ seed: UInt64)
    async throws
  {
    try await serving { scene in
      var random = SplitMix(seed: seed)
      let hasFiles = seed % 2 == 1
      var clients: [TestPeer] = []
      for _ in 0..<40 {
        let pieces = (0..<Int.random(in: 0...5, using: &random)).map { _ in
          hasFiles && Int.random(in: 0..<3, using: &random) == 0
            ? file : Self.pieces.randomElement(using: &random) ?? hello
        }
        var bytes = Array((pieces.joined() + TurnedWorker.handshake("/ws/echo/")).utf8)
        let isWhole = Bool.random(using: &random)
        if !isWhole { Self.spoil(&bytes, &random) }
        let client = try scene.connect()
        clients.append(client)
        send(bytes, from: client, scene, &random)
        let isLeft = Int.random(in: 0..<3, using: &random)
        if isLeft == 0 { client.hangUp() } else if isLeft == 1, !isWhole { client.finish() }
        scene.settle()
        if isWhole, isLeft != 0, !hasFiles {
          let text = scene.readOutPlain(client)
          // A body may not have been there when its request was answered.
          #expect(text.contains("HTTP/1.1 101 ") || text.contains("\r\nConnection: close\r\n"))
        }
      }
      #expect(scene.counters.sessionsOpened.count > 0)
      // Long enough for heads, idle connections, and clients that do not close their side.
      scene.pass(.seconds(6))
      scene.pass(.seconds(21))
      scene.pass(.seconds(40), times: 4)
      if !hasFiles { #expect(scene.connections == scene.sessions) }
      for client in clients { client.hangUp() }
      try await scene.until { scene.connections == 0 }
    }
  }

  /// Changes, removes or adds a few bytes.
  private static func spoil(_ bytes: inout [UInt8], _ random: inout SplitMix) {
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      let place = Int.random(in: bytes.indices, using: &random)
      switch Int.random(in: 0..<3, using: &random) {
      case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes.remove(at: place)
      default: bytes.insert(contentsOf: [0x0D, 0x0A, 0x30].shuffled(using: &random), at: place)
      }
    }
  }
}

extension String {
  /// How many answers are in it.
  fileprivate var components: Int {
    split(separator: "HTTP/1.1 200 OK\r\n").count - (hasPrefix("HTTP/1.1 200") ? 0 : 1)
  }
}
