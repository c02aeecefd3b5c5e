import GatewayConfig
import GatewayTestSupport
import Testing
import WebSocketCore

@testable import Gateway
@testable import Sessions
@testable import Transport

private let application = """
  installed_apps: [echo, broadcast, proxy]
  channel_layers: {default: {backend: memory}}
  limits: {handshake: 5s}
  auth:
    users:
      jwt: {secret: "a secret of sixty-four bytes, which is enough for all of HS256-512", algorithms: [HS256]}
  applications:
    main:
      http: [{path: ready, health: ready}]
      websocket:
        - {path: ws/echo/, consumer: echo}
        - {path: ws/mine/, consumer: broadcast, group: "of_{user}", auth: users}
        - {path: ws/up/, consumer: proxy, to: "unix:UPSTREAM"}
  """

/// A connection from its accept to the decision about it.
struct PendingConnectionTests {
  private func serving(
    connections: Int = 1000, extras: Int = 16, _ body: (TurnedWorker) async throws -> Void
  ) async throws {
    try await TurnedWorker.serving(application, connections: connections, extras: extras, body)
  }

  @Test func `a head that comes one byte at a time is one request, and what follows it are frames`()
    async throws
  {
    try await serving { scene in
      let client = try scene.connect()
      let bytes = Array(TurnedWorker.handshake("/ws/echo/").utf8)
      for byte in bytes.dropLast() {
        client.send([byte])
        scene.settle()
      }
      client.send(bytes.suffix(1) + client.frame(.text, Array("first".utf8)) + client.frame(.ping))
      scene.settle()
      #expect(client.head()?.hasPrefix("HTTP/1.1 101 ") == true)
      #expect(client.heard() == ["text first", "pong"])
    }
  }

  @Test func `frames that come before the upstream has answered wait for it`() async throws {
    try await serving { scene in
      let (client, upstream, key) = try await scene.askProxied("/ws/up/")
      client.text("early")
      scene.settle()
      #expect(upstream.plain() == "")
      scene.accept(key, by: upstream)
      #expect(upstream.heard() == ["text early"])
      #expect(client.head()?.hasPrefix("HTTP/1.1 101 ") == true)
      // The time for the handshake is over; the session is not.
      scene.pass(.seconds(6))
      client.text("late")
      scene.settle()
      #expect(upstream.heard() == ["text late"])
    }
  }

  @Test func `a client that is gone while it is authenticated becomes no session`() async throws {
    try await serving { scene in
      let token = try await TokenMaker(.hs256).token(#"{"sub":"5","exp":9999999999}"#)
      let request = TurnedWorker.handshake("/ws/mine/").replacing(
        "Host: a\r\n", with: "Host: a\r\nAuthorization: Bearer \(token)\r\n")
      let gone = try scene.ask(request)
      gone.hangUp()
      scene.settle()
      #expect((scene.connections, scene.worker.sessions.pending.isEmpty) == (0, true))
      let client = try scene.ask(request)
      var head: String?
      try await scene.until {
        head = client.head()
        return head != nil
      }
      #expect(head?.hasPrefix("HTTP/1.1 101 ") == true)
      #expect(scene.sessions == 1)
      #expect(scene.members(of: "of_5") == 1)
    }
  }

  @Test func `TLS on a plain port is answered in words`() async throws {
    try await serving { scene in
      let client = try scene.connect()
      client.send([0x16, 0x03, 0x01, 0x02, 0x00, 0x01])
      scene.settle()
      let answer = client.plain()
      #expect(answer.hasPrefix("HTTP/1.1 400 "))
      #expect(answer.contains("The client speaks TLS, and this port expects plain HTTP."))
    }
  }

  @Test func `a client that ends its side before its request is complete is gone`() async throws {
    try await serving { scene in
      let client = try scene.ask("GET /ws/ec")
      client.finish()
      scene.settle()
      #expect(client.heard() == ["end"])
      #expect((scene.connections, scene.worker.sessions.pending.isEmpty) == (0, true))
    }
  }

  @Test func `a refused client has two seconds for the answer, and none that waits longer than that`()
    async throws
  {
    try await serving(connections: 1, extras: 2) { scene in
      let refused = try (0..<3).map { _ in try scene.ask(TurnedWorker.handshake("/nowhere/")) }
      // Of those that may still be reading only the last few are kept.
      #expect(scene.worker.sessions.pending.count == 2)
      #expect(refused.allSatisfy { $0.plain().hasPrefix("HTTP/1.1 404 ") })
      scene.pass(.milliseconds(2100))
      #expect(scene.worker.sessions.pending.isEmpty)
      // Beyond all limits, who says nothing is refused sooner than others.
      for _ in 0..<17 { _ = try scene.ask("") }
      let beyond = try scene.ask("")
      scene.pass(.milliseconds(1900))
      #expect(beyond.plain() == "")
      scene.pass(.milliseconds(200))
      #expect(beyond.plain().hasPrefix("HTTP/1.1 503 "))
    }
  }

  @Test func `a refusal of a HEAD request has no body`() async throws {
    try await serving(connections: 1) { scene in
      for _ in 0..<17 { _ = try scene.ask("") }
      let client = try scene.ask("HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(client.head()?.hasPrefix("HTTP/1.1 503 ") == true)
      #expect(client.heard() == ["end"])
    }
  }

  @Test func `a request without an upgrade is answered, and its connection is another one's`() async throws {
    try await serving { scene in
      let client = try scene.ask("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect((scene.connections, scene.worker.sessions.pending.isEmpty) == (1, true))
      #expect(client.plain().hasPrefix("HTTP/1.1 404 "))
      // Not by the deadline of the connection that it was.
      scene.pass(.seconds(6))
      #expect(client.plain() == "")
      #expect(!client.isOver)
    }
  }
}
