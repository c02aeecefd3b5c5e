import GatewayConfig
import GatewayTestSupport
import Testing
import WebSocketCore

@testable import Gateway
@testable import Sessions
@testable import Transport

private let application = """
  installed_apps: [echo, broadcast]
  channel_layers: {default: {backend: memory}}
  server: {bind: "unix:/run/sluice.sock", trusted_proxies: [unix]}
  limits: {per_ip: {connections: 2}}
  auth:
    users:
      jwt: {secret: "a secret of sixty-four bytes, which is enough for all of HS256-512", algorithms: [HS256]}
  applications:
    main:
      websocket:
        refusals: close
        routes:
          - {path: ws/echo/, consumer: echo}
          - {path: ws/plain/, consumer: echo, auth: users, refusals: http}
          - {path: ws/mine/, consumer: broadcast, group: "of_{user}", auth: users}
          - {path: "ws/room/<slug:room>/", consumer: broadcast, group: "room_{room}", history: {messages: 3}}
  """

private let foreign = "close 4403 Pages of this origin are not allowed here."

/// Handshakes that are refused with a close frame, so that a page can read why.
struct RefusalCloseTests {
  private func serving(
    connections: Int = 1000, extras: Int = 16, _ body: (TurnedWorker) async throws -> Void
  ) async throws {
    try await TurnedWorker.serving(application, connections: connections, extras: extras, body)
  }

  private static func handshake(_ path: String, _ fields: [String]) -> String {
    let lines = fields.map { $0 + "\r\n" }.joined()
    return TurnedWorker.handshake(path).replacing("Host: a\r\n", with: "Host: a\r\n" + lines)
  }

  /// What a client hears behind a 101 answer.
  private func refusal(_ scene: TurnedWorker, _ path: String, _ fields: String...) async throws -> [String] {
    let client = try scene.ask(Self.handshake(path, fields))
    var head: String?
    try await scene.until {
      head = client.head()
      return head != nil
    }
    #expect(head?.hasPrefix("HTTP/1.1 101 ") == true)
    let heard = try await scene.answer(to: client)
    client.close(1000)
    client.finish()
    scene.settle()
    #expect(client.heard() == ["end"])
    return heard
  }

  @Test func `each status has its code, and the reason is the text of the answer`() async throws {
    try await serving { scene in
      #expect(try await refusal(scene, "/nowhere/") == ["close 4404 There is nothing at this path."])
      #expect(
        try await refusal(scene, "/%ff/") == ["close 4400 The path is not percent-encoded UTF-8."])
      #expect(try await refusal(scene, "/ws/mine/") == ["close 4401 a token is needed"])
      let expired = try await TokenMaker(.hs256).token(#"{"sub":"5","exp":1}"#)
      #expect(
        try await refusal(scene, "/ws/mine/", "Authorization: Bearer \(expired)")
          == ["close 4401 the token has expired"])
      let odd = try await TokenMaker(.hs256).token(#"{"sub":"a b","exp":9999999999}"#)
      #expect(
        try await refusal(scene, "/ws/mine/", "Authorization: Bearer \(odd)")
          == ["close 4403 no valid group name can be made for this user"])
      #expect(
        try await refusal(scene, "/ws/room/a/?since=x")
          == [#"close 4400 "since" must be the id of a frame (EPOCH.OFFSET), or empty."#])
      #expect(try await refusal(scene, "/ws/echo/", "Origin: http://b") == [foreign])
      // No session began, and nothing is left.
      #expect((scene.counters.sessionsOpened.count, scene.connections) == (0, 0))
      #expect(scene.worker.sessions.pending.isEmpty)
      #expect(scene.lines("refused").contains { $0.contains("status=401") && $0.contains("code=4401") })
    }
  }

  @Test func `a route may say otherwise`() async throws {
    try await serving { scene in
      let client = try scene.ask(TurnedWorker.handshake("/ws/plain/"))
      var head: String?
      try await scene.until {
        head = client.head()
        return head != nil
      }
      #expect(head?.hasPrefix("HTTP/1.1 401 ") == true)
    }
  }

  @Test func `a handshake that cannot be accepted is answered`() async throws {
    try await serving { scene in
      let old = TurnedWorker.handshake("/nowhere/").replacing("Version: 13", with: "Version: 8")
      let first = try scene.ask(old).head()
      #expect(first?.hasPrefix("HTTP/1.1 404 ") == true)
      let keyless = TurnedWorker.handshake("/ws/echo/").replacing("Sec-WebSocket-Key", with: "X")
      let second = try scene.ask(keyless).head()
      #expect(second?.hasPrefix("HTTP/1.1 400 ") == true)
    }
  }

  @Test func `a page of another site learns nothing but that`() async throws {
    try await serving { scene in
      let token = try await TokenMaker(.hs256).token(#"{"sub":"5","exp":9999999999}"#)
      for path in ["/ws/echo/", "/ws/mine/", "/nowhere/", "/%ff/", "/ws/room/a.b/", "/ws/room/a/?since=x"] {
        for fields in [[], ["Authorization: Bearer \(token)"], ["Authorization: Bearer x"]] {
          let client = try scene.ask(
            Self.handshake(path, ["Origin: http://b"] + fields))
          // At once: nobody was asked who it is.
          #expect(client.head()?.hasPrefix("HTTP/1.1 101 ") == true)
          #expect(client.heard() == [foreign], "\(path)")
          client.hangUp()
          scene.settle()
        }
      }
      scene.worker.sessions.pending.values.forEach { $0.abandon() }
      for _ in 0..<3 {
        let client = try scene.ask(
          Self.handshake("/ws/echo/", ["Origin: http://b", "X-Forwarded-For: 192.0.2.1"]))
        #expect(client.head()?.hasPrefix("HTTP/1.1 101 ") == true)
        #expect(client.heard().first == foreign)
      }
    }
  }

  @Test func `a client that does not answer the close frame counts, and does not stay`() async throws {
    try await serving { scene in
      let client = try scene.ask(TurnedWorker.handshake("/nowhere/"))
      #expect(client.head() != nil)
      #expect(client.heard() == ["close 4404 There is nothing at this path."])
      client.text("still here")
      client.send(client.frame(.ping))
      scene.settle()
      #expect((scene.connections, client.heard()) == (1, []))
      scene.pass(.milliseconds(4900))
      #expect(scene.connections == 1)
      scene.pass(.milliseconds(200))
      #expect((scene.connections, client.heard()) == (0, ["end"]))
      #expect(scene.worker.sessions.pending.isEmpty)
    }
  }

  @Test func `a client that sends much, or nonsense, is not waited for`() async throws {
    try await serving { scene in
      let much = try scene.ask(TurnedWorker.handshake("/nowhere/"))
      much.send(much.frame(.text, [UInt8](repeating: 120, count: 5000)))
      let nonsense = try scene.ask(TurnedWorker.handshake("/nowhere/"))
      nonsense.send([0xFF, 0xFF, 0xFF])
      let many = try scene.ask(TurnedWorker.handshake("/nowhere/"))
      for _ in 0..<70 {
        many.send((0..<10).flatMap { _ in many.frame(.text, [UInt8](repeating: 120, count: 100)) })
      }
      scene.settle()
      for client in [much, nonsense, many] {
        #expect(client.head() != nil)
        #expect(client.heard() == ["close 4404 There is nothing at this path.", "end"])
      }
      scene.pass(.milliseconds(2100))
      #expect((scene.connections, scene.worker.sessions.pending.isEmpty) == (0, true))
    }
  }

  @Test func `what comes with the handshake is read like what comes later`() async throws {
    try await serving { scene in
      let client = try scene.connect()
      client.send(
        Array(TurnedWorker.handshake("/nowhere/").utf8) + client.frame(.text, [1])
          + client.frame(.close, [0x03, 0xE8]))
      scene.settle()
      #expect(client.head() != nil)
      #expect(client.heard() == ["close 4404 There is nothing at this path.", "end"])
      client.finish()
      scene.settle()
      #expect(scene.connections == 0)
    }
  }

  @Test func `one of the offered subprotocols is chosen, and not a token if there is another`() async throws {
    try await serving { scene in
      func chosen(_ offer: String) throws -> Bool? {
        let client = try scene.ask(Self.handshake("/nowhere/", ["Sec-WebSocket-Protocol: \(offer)"]))
        return client.head()?.contains("Sec-WebSocket-Protocol: v1")
      }
      #expect(try chosen("bearer.x, v1, v2") == true)
      let only = try scene.ask(Self.handshake("/nowhere/", ["Sec-WebSocket-Protocol: bearer.x"]))
      #expect(only.head()?.contains("Sec-WebSocket-Protocol: bearer.x") == true)
    }
  }

  @Test func `an address over its limit takes no place, and is told so`() async throws {
    try await serving { scene in
      let fields = "X-Forwarded-For: 192.0.2.1"
      let held = try (0..<2).map { _ in try scene.ask(Self.handshake("/ws/echo/", [fields])) }
      let client = try scene.ask(Self.handshake("/ws/echo/", [fields]))
      #expect(client.head()?.hasPrefix("HTTP/1.1 101 ") == true)
      #expect(
        client.heard() == [
          "close 4429 There are too many connections from this address; try again later.", "end",
        ])
      #expect((scene.connections, scene.sessions, held.count) == (2, 2, 2))
      scene.pass(.milliseconds(2100))
      #expect(scene.worker.sessions.pending.isEmpty)
    }
  }

  @Test func `beyond all limits, the code is 4503, and few are told`() async throws {
    try await serving(connections: 1, extras: 2) { scene in
      let held = try scene.open("/ws/echo/")
      let refused = try (0..<40).map { _ in try scene.ask(TurnedWorker.handshake("/ws/echo/")) }
      let told = refused.filter { $0.head()?.hasPrefix("HTTP/1.1 101 ") == true }
      #expect(told.count == 40)
      #expect(
        told.allSatisfy { $0.heard().first == "close 4503 All connections are in use; try again later." })
      #expect(scene.sessions == 1)
      #expect(held.heard() == [])
      scene.pass(.milliseconds(5100))
      #expect(scene.worker.sessions.pending.isEmpty)
    }
  }
}
