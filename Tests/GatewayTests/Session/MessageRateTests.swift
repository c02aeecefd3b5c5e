import GatewayConfig
import GatewayTestSupport
import Testing
import WebSocketCore

@testable import Gateway
@testable import Sessions
@testable import Transport

private let application = """
  installed_apps: [echo, broadcast, chat]
  channel_layers: {default: {backend: memory}}
  logging: {sessions: true}
  limits: {per_user: {messages: 2/s burst 4, handshakes: 3/h}, ping: none}
  auth:
    users:
      jwt: {secret: "a secret of sixty-four bytes, which is enough for all of HS256-512", algorithms: [HS256],
        from: [header, message]}
  applications:
    main:
      websocket:
        - {path: ws/free/, consumer: echo}
        - {path: ws/wait/, consumer: echo, limits: {rate: 2/s burst 3}}
        - {path: ws/slow/, consumer: echo, limits: {rate: 1/h}}
        - {path: ws/reply/, consumer: chat, group: room, limits: {rate: {messages: 2/s burst 3, over: reply}}}
        - {path: ws/close/, consumer: echo, limits: {rate: {messages: 2/s burst 3, over: close}}}
        - {path: ws/mine/, consumer: echo, auth: users}
        - {path: ws/asked/, consumer: chat, group: room, subscribe: ["x_*"], limits: {rate: 2/s burst 3}}
  """

struct MessageRateTests {
  private func serving(_ body: (TurnedWorker) async throws -> Void) async throws {
    try await TurnedWorker.serving(application, body)
  }

  @Test func `a client that sends too fast is not read for a while`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/wait/")
      client.send((1...8).flatMap { client.frame(.text, Array("m\($0)".utf8)) })
      scene.settle()
      // Three at once, and a fourth one only when it is due.
      #expect(client.heard() == ["text m1", "text m2", "text m3"])
      scene.pass(.milliseconds(400))
      #expect(client.heard() == [])
      scene.pass(.milliseconds(200))
      #expect(client.heard() == ["text m4"])
      scene.pass(.milliseconds(500), times: 4)
      #expect(client.heard() == ["text m5", "text m6", "text m7", "text m8"])
      // Nothing was lost, and a rest makes good.
      scene.pass(.seconds(10))
      client.send((1...4).flatMap { client.frame(.text, Array("n\($0)".utf8)) })
      scene.settle()
      #expect(client.heard() == ["text n1", "text n2", "text n3"])
      #expect(scene.lines("a client sent too many messages").count == 1)
    }
  }

  @Test func `others are not held up, and neither is what the client is sent`() async throws {
    try await serving { scene in
      let slow = try scene.open("/ws/asked/")
      slow.send((1...9).flatMap { slow.frame(.text, Array(#"{"message":\#($0)}"#.utf8)) })
      let free = try scene.open("/ws/free/")
      free.text("at once")
      scene.settle()
      #expect(free.heard() == ["text at once"])
      #expect(slow.heard() == (1...3).map { #"text {"message": \#($0)}"# })
      let other = try scene.open("/ws/asked/")
      other.text(#"{"message":"hi"}"#)
      scene.settle()
      #expect(slow.heard() == [#"text {"message": "hi"}"#])
    }
  }

  @Test func `messages for the gateway count too`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/asked/")
      client.send((1...4).flatMap { client.frame(.text, Array(#"{"subscribe":"x_\#($0)"}"#.utf8)) })
      scene.settle()
      #expect(client.heard() == (1...3).map { #"text {"subscribed":"x_\#($0)"}"# })
      scene.pass(.milliseconds(600))
      #expect(client.heard() == [#"text {"subscribed":"x_4"}"#])
    }
  }

  @Test func `a client that is not read can be closed, and can go`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/slow/")
      client.text("one")
      client.text("two")
      scene.settle()
      #expect(client.heard() == ["text one"])
      scene.worker.sessions.live[0].close(.restart(code: .serviceRestart))
      client.close(1012)
      scene.settle()
      #expect(client.heard() == ["close 1012 restarting; retry in 0.0s", "end"])
      client.finish()
      scene.settle()
      #expect(scene.sessions == 0)
      let gone = try scene.open("/ws/slow/")
      gone.text("one")
      gone.text("two")
      scene.settle()
      // What was too much is not waited for.
      gone.hangUp()
      scene.settle()
      #expect(scene.sessions == 0)
    }
  }

  @Test func `over the rate a message is answered with an error where the route says so`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/reply/")
      client.send((1...4).flatMap { client.frame(.text, Array(#"{"message":\#($0)}"#.utf8)) })
      scene.settle()
      var heard = client.heard()
      #expect(heard.contains(#"text {"error":"too many messages: the next one is accepted in 1 s"}"#))
      heard.removeAll { $0.contains("error") }
      #expect(heard == (1...3).map { #"text {"message": \#($0)}"# })
      scene.pass(.milliseconds(600))
      client.text(#"{"message":5}"#)
      scene.settle()
      #expect(client.heard() == [#"text {"message": 5}"#])
    }
  }

  @Test func `or the session is closed`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/close/")
      client.send((1...6).flatMap { client.frame(.text, Array("m\($0)".utf8)) })
      scene.settle()
      #expect(
        client.heard() == ["text m1", "text m2", "text m3", "close 4429 too many messages; try again later"])
    }
  }

  private func session(_ scene: TurnedWorker, of user: String) async throws -> (TestPeer, String?) {
    let token = try await TokenMaker(.hs256).token(#"{"sub":"\#(user)","exp":9999999999}"#)
    let client = try scene.ask(
      TurnedWorker.handshake("/ws/mine/").replacing(
        "Host: a\r\n", with: "Host: a\r\nAuthorization: Bearer \(token)\r\n"))
    var head: String?
    try await scene.until {
      head = client.head()
      return head != nil
    }
    return (client, head)
  }

  @Test func `all sessions of a user share its rate, and other users have theirs`() async throws {
    try await serving { scene in
      let first = try await session(scene, of: "5").0
      let second = try await session(scene, of: "5").0
      let other = try await session(scene, of: "6").0
      for client in [first, second, other] {
        client.send((1...3).flatMap { client.frame(.text, Array("m\($0)".utf8)) })
        scene.settle()
      }
      #expect(first.heard().count == 3)
      #expect(second.heard() == ["text m1"])
      #expect(other.heard().count == 3)
      scene.pass(.seconds(2))
      #expect(second.heard() == ["text m2", "text m3"])
      // A new connection does not make a new start.
      second.send((1...9).flatMap { second.frame(.text, Array("n\($0)".utf8)) })
      scene.settle()
      let again = try await session(scene, of: "5").0
      again.text("again")
      scene.settle()
      #expect(again.heard() == [])
      scene.pass(.seconds(5), times: 3)
      #expect(again.heard() == ["text again"])
      for client in [first, second, again] { client.hangUp() }
      scene.pass(.milliseconds(10))
      #expect(scene.sessions == 1)
      #expect(scene.gateway.process.users?.sizes.open == 1)
    }
  }

  @Test func `a user that connects too often is refused with 429`() async throws {
    try await serving { scene in
      for _ in 0..<3 {
        #expect(try await session(scene, of: "7").1?.hasPrefix("HTTP/1.1 101 ") == true)
      }
      let (client, head) = try await session(scene, of: "7")
      #expect(head?.hasPrefix("HTTP/1.1 429 ") == true)
      #expect(head?.contains("Retry-After: ") == true)
      #expect(client.plain() == "This user connects too often; try again later.\n")
      #expect(try await session(scene, of: "8").1?.hasPrefix("HTTP/1.1 101 ") == true)
      // By a message it is the same.
      let late = try await scene.openAuthenticated("/ws/mine/")
      let token = try await TokenMaker(.hs256).token(#"{"sub":"7","exp":9999999999}"#)
      late.text(#"{"auth":"\#(token)"}"#)
      #expect(
        try await scene.answer(to: late) == ["close 4429 this user connects too often; try again later"])
    }
  }
}
