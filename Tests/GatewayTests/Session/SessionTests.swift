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
  limits: {message: 1KiB, send_queue: 64KiB, receive_memory: 1MiB, ping: {interval: 10s, timeout: 5s}}
  auth:
    users:
      jwt: {secret: "a secret of sixty-four bytes, which is enough for all of HS256-512", algorithms: [HS256],
        from: [message], expiry: renew}
  applications:
    main:
      websocket:
        - {path: ws/echo/, consumer: echo}
        - {path: ws/silent/, consumer: echo, limits: {ping: none}}
        - {path: ws/large/, consumer: echo, limits: {message: 400KiB, send_queue: 1MiB}}
        - {path: ws/news/, consumer: broadcast, group: news}
        - {path: ws/quiet/, consumer: broadcast, group: quiet, publish: nobody}
        - {path: ws/asking/, consumer: chat, group: asking, subscribe: ["extra_*"]}
        - {path: ws/extra/, consumer: chat, group: extra_1}
        - {path: ws/room/, consumer: chat, group: room, subscribe: ["extra_*"], presence: true}
        - {path: ws/mine/, consumer: broadcast, group: "of_{user}", auth: users, limits: {ping: none}}
  """

/// One session from its handshake to its end, with its own worker and a client that does what the test says.
struct SessionTests {
  private func serving(_ body: (TurnedWorker) async throws -> Void) async throws {
    try await TurnedWorker.serving(application, body)
  }

  // MARK: - The closing handshake

  @Test func `a client that closes gets its code and reason back, and then the end`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/echo/")
      client.text("last")
      client.close(4321, "enough")
      client.text("behind")
      scene.settle()
      #expect(client.heard() == ["text last", "close 4321 enough", "end"])
      #expect(scene.sessions == 1)
      client.finish()
      scene.settle()
      #expect(scene.sessions == 0)
      #expect(scene.connections == 0)
    }
  }

  @Test func `a close frame without a code is answered without one`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/echo/")
      client.send(client.frame(.close))
      scene.settle()
      #expect(client.heard() == ["close", "end"])
    }
  }

  @Test func `a client that closes and never ends its side is let go after two seconds`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/echo/")
      client.close(1000)
      scene.settle()
      scene.pass(.milliseconds(1900))
      #expect(scene.sessions == 1)
      scene.pass(.milliseconds(200))
      #expect(scene.sessions == 0)
      #expect(client.heard() == ["close 1000", "end"])
    }
  }

  @Test func `once the gateway has closed, only the client's close frame counts`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/echo/")
      _ = scene.stop()
      scene.settle()
      #expect(client.heard() == ["close 1012 restarting; retry in 0.1s"])
      client.text("not answered")
      client.send(client.frame(.ping))
      scene.settle()
      #expect(client.heard() == [])
      client.close(1012)
      scene.settle()
      #expect(client.heard() == ["end"])
      client.finish()
      scene.settle()
      #expect(scene.sessions == 0)
    }
  }

  @Test func `a client that does not answer a close frame is cut off after five seconds`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/echo/")
      _ = scene.stop()
      scene.settle()
      scene.pass(.milliseconds(4900))
      #expect(scene.sessions == 1)
      scene.pass(.milliseconds(200))
      #expect(scene.sessions == 0)
      #expect(client.heard() == ["close 1012 restarting; retry in 0.1s", "end"])
    }
  }

  @Test func `a client that ends its side without a close frame is gone at once`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/echo/")
      client.text("last")
      client.finish()
      scene.settle()
      #expect(client.heard() == ["text last", "end"])
      #expect(scene.sessions == 0)
    }
  }

  @Test func `the log tells of a session from its beginning to its end`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/echo/")
      scene.pass(.seconds(2))
      client.text("hello")
      client.close(4321, "enough")
      client.finish()
      scene.settle()
      #expect(scene.lines("a session began").count == 1)
      let line = try #require(scene.lines("a session ended").first)
      for fact in [
        "code=4321", "reason=enough", "ended-by=client", "seconds=2.000", "messages-in=1", "bytes-in=5",
        "messages-out=1", "bytes-out=7", "path=/ws/echo/", "peer=unix", "route=ws/echo/",
      ] {
        #expect(line.contains(fact), "\(line)")
      }
    }
  }

  // MARK: - Violations

  @Test(arguments: [
    ([0x81, 0x01, 0x61], 1002, "a frame was not masked"),
    ([0xC1, 0x80, 0, 0, 0, 0], 1002, "a reserved bit was set"),
    ([0x83, 0x80, 0, 0, 0, 0], 1002, "an unknown opcode"),
    ([0x80, 0x80, 0, 0, 0, 0], 1002, "a continuation frame without a message"),
    ([0x88, 0x81, 0, 0, 0, 0, 3], 1002, "a malformed close frame"),
    ([0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28], 1007, "text that is not UTF-8"),
    ([0x82, 0xFE, 0x04, 0x01, 0, 0, 0, 0], 1009, "a message larger than allowed"),
  ])
  func `a violation is said with its code, counted and logged, and nothing after it is read`(
    _ bytes: [UInt8], _ code: Int, _ reason: String
  ) async throws {
    try await serving { scene in
      let client = try scene.open("/ws/echo/")
      client.send(client.frame(.text, Array("good".utf8)) + bytes + client.frame(.ping))
      scene.settle()
      #expect(client.heard() == ["text good", "close \(code) \(reason)", "end"])
      #expect(scene.counters.protocolViolations.count == 1)
      let lines = scene.lines("a client violated the WebSocket protocol")
      #expect(lines.count == 1)
      #expect(lines.first?.contains("reason=\"\(reason)\" route=ws/echo/") == true, "\(lines)")
      client.hangUp()
      scene.settle()
      #expect(scene.sessions == 0)
    }
  }

  @Test func `a message of exactly the limit is taken, in fragments too`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/echo/")
      let half = [UInt8](repeating: 1, count: 512)
      client.send(client.frame(.binary, half + half))
      client.send(client.frame(.binary, half, isLast: false) + client.frame(.continuation, half))
      scene.settle()
      #expect(client.heard() == ["binary of 1024", "binary of 1024"])
      client.send(client.frame(.binary, half, isLast: false) + client.frame(.continuation, half + [1]))
      scene.settle()
      #expect(client.heard() == ["close 1009 a message larger than allowed", "end"])
    }
  }

  // MARK: - Signs of life

  @Test func `a ping is answered with its payload, also between the fragments of a message`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/echo/")
      client.send(client.frame(.text, Array("a".utf8), isLast: false))
      client.send(client.frame(.ping, Array("there?".utf8)))
      client.send(client.frame(.continuation, Array("b".utf8)))
      client.send(client.frame(.pong, Array("unasked".utf8)))
      scene.settle()
      #expect(client.heard() == ["pong there?", "text ab"])
    }
  }

  @Test func `a silent client is pinged, and closed when it does not answer`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/echo/")
      scene.pass(.milliseconds(9900))
      #expect(client.heard() == [])
      scene.pass(.milliseconds(200))
      #expect(client.heard() == ["ping"])
      scene.pass(.milliseconds(4900))
      #expect(client.heard() == [])
      scene.pass(.milliseconds(200))
      #expect(client.heard() == ["close 1001 no answer to a ping", "end"])
      #expect(scene.counters.pingTimeouts.count == 1)
      #expect(scene.lines("a client stopped answering pings").count == 1)
      scene.pass(.milliseconds(2100))
      #expect(scene.sessions == 0)
    }
  }

  @Test func `anything that a client sends shows that it lives, even half a frame`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/echo/")
      for byte in client.frame(.text, Array("a".utf8)) {
        scene.pass(.milliseconds(9900))
        client.send([byte])
        scene.settle()
      }
      #expect(client.heard() == ["text a"])
      scene.pass(.milliseconds(10100))
      client.send(client.frame(.pong))
      scene.pass(.milliseconds(9900))
      #expect(client.heard() == ["ping"])
    }
  }

  @Test func `a client that is not read, as it does not read, is not asked and not judged`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/echo/")
      let message = client.frame(.binary, [UInt8](repeating: 1, count: 1000))
      // Until the gateway does not read any more, and the kernel holds all it can.
      let (whole, rest) = scene.flood(message, from: client, most: 2000)
      #expect(whole < 2000)
      scene.pass(.seconds(5), times: 100)
      #expect(scene.sessions == 1)
      #expect(scene.counters.pingTimeouts.count == 0)
      // What it has sent is answered once it reads.
      #expect(scene.readOut(client) == Array(repeating: "binary of 1000", count: whole))
      scene.push(rest, from: client)
      #expect(client.heard() == ["binary of 1000"])
      scene.pass(.milliseconds(9900))
      #expect(client.heard() == [])
    }
  }

  // MARK: - Clients that read slowly, or send slowly

  @Test func `a slow reader gets what it had begun, its code, and nothing behind it`() async throws {
    try await serving { scene in
      let slow = try scene.open("/ws/news/")
      let sender = try scene.open("/ws/news/")
      let sent = scene.overrun(String(repeating: "n", count: 1000), from: sender) { _ in
        #expect(sender.heard() == ["text of 1000"])
      }
      // What comes later is not for it.
      sender.text("later")
      scene.settle()
      #expect(sender.heard() == ["text later"])
      let heard = scene.readOut(slow)
      #expect(
        heard.suffix(2) == ["close 1013 the client reads too slowly: messages were dropped", "end"])
      #expect(heard.dropLast(2).allSatisfy { $0 == "text of 1000" })
      // More than the limit, and less than was sent.
      #expect((0..<sent).contains(heard.count - 2))
      #expect(sent > 64)
      #expect(scene.lines("a client read too slowly").first?.contains("route=ws/news/") == true)
      #expect(scene.lines("a client read too slowly").count == 1)
      slow.hangUp()
      scene.settle()
      #expect(scene.sessions == 1)
    }
  }

  @Test func `when the memory for unfinished messages is used up, the oldest of them is given up`()
    async throws
  {
    try await serving { scene in
      let whole = [UInt8](repeating: 1, count: 300 * 1024)
      let clients = try (0..<6).map { _ in try scene.open("/ws/large/") }
      for client in clients {
        let frame = client.frame(.binary, whole)
        #expect(scene.push(Array(frame.dropLast()), from: client) == frame.count - 1)
        scene.pass(.milliseconds(10))
      }
      let ends = clients.map { $0.heard() }
      let told = ["close 1013 the memory for unfinished messages is used up", "end"]
      let ended = ends.prefix { $0 == told }.count
      #expect(ended > 0 && ended < clients.count)
      #expect(ends[ended...].allSatisfy { $0.isEmpty })
      #expect(scene.gateway.process.receiveMemory.evictions.count == ended)
      #expect(!scene.lines("the memory for unfinished messages was used up").isEmpty)
      // The others go on.
      let last = try #require(clients.last)
      last.send(last.frame(.binary, whole).suffix(1))
      scene.settle()
      #expect(scene.readOut(last) == ["binary of 307200"])
    }
  }

  @Test func `a client that is gone in the middle of a message takes up nothing`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/news/")
      let other = try scene.open("/ws/news/")
      client.send(client.frame(.text, [UInt8](repeating: 0x61, count: 900)).dropLast())
      other.text("unread")
      scene.settle()
      #expect(scene.unfinishedBytes > 0)
      #expect(scene.members(of: "news") == 2)
      // With something that it has not read: as a reset.
      client.hangUp()
      scene.settle()
      #expect(scene.unfinishedBytes == 0)
      #expect((scene.members(of: "news"), scene.sessions, scene.connections) == (1, 1, 1))
    }
  }

  @Test func `short messages with long answers wait until the client has read`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/quiet/")
      let sent = Array(repeatElement(client.frame(.text), count: 10_000).joined())
      #expect(scene.push(sent, from: client) == sent.count)
      #expect((1..<300_000).contains(scene.waitingBytes))
      let heard = scene.readOut(client)
      #expect(heard.count == 10_000)
      #expect(Set(heard) == [#"text {"error": "clients cannot publish on this route"}"#])
    }
  }

  @Test func `what a client had sent is handled, though it does not read and then is gone`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/news/")
      let other = try scene.open("/ws/news/")
      while scene.waitingBytes == 0 {
        other.text(String(repeating: "n", count: 1000))
        scene.settle()
        _ = other.heard()
      }
      client.text("read")
      scene.settle()
      // The gateway does not read it any more, until the queue is empty.
      client.text("left")
      scene.settle()
      #expect(other.heard() == ["text read"])
      client.hangUp()
      scene.settle()
      #expect(other.heard() == ["text left"])
      #expect(scene.sessions == 1)
    }
  }

  @Test func `when the memory for what waits is used up, the client that has waited longest is let go`()
    async throws
  {
    let yaml = """
      installed_apps: [echo]
      limits: {send_memory: 1MiB, send_queue: 1MiB, message: 400KiB, ping: none}
      applications: {main: {websocket: [{path: ws/echo/, consumer: echo}]}}
      """
    try await TurnedWorker.serving(yaml) { scene in
      let clients = try (0..<8).map { _ in try scene.open("/ws/echo/") }
      for client in clients where scene.counters.slowReaders.count == 0 {
        scene.push(client.frame(.binary, [UInt8](repeating: 1, count: 300_000)), from: client)
        scene.pass(.milliseconds(10))
      }
      let ended = scene.counters.slowReaders.count
      #expect((1..<4).contains(ended))
      #expect(scene.gateway.process.sendMemory.evictions.count == ended)
      // In the middle of a long message there is no room for a reason.
      let heard = clients.prefix(4).map { scene.readOut($0) }
      #expect(heard[..<ended].allSatisfy { $0 == ["part of a frame", "end"] })
      #expect(heard[ended] == ["binary of 300000"])
      #expect(scene.sessions == 8 - ended)
    }
  }

  // MARK: - Groups

  @Test func `a client that reads slowly gets all that its group has kept, and a part at a time`()
    async throws
  {
    let yaml = """
      installed_apps: [broadcast]
      channel_layers: {default: {backend: memory}}
      limits: {send_queue: 64KiB}
      applications:
        main: {websocket: [{path: ws/news/, consumer: broadcast, group: news, history: {messages: 200}}]}
      """
    try await TurnedWorker.serving(yaml) { scene in
      let sender = try scene.open("/ws/news/")
      for _ in 0..<200 {
        sender.text(String(repeating: "n", count: 1000))
        scene.settle()
        _ = sender.heard()
      }
      let client = try scene.open("/ws/news/")
      #expect((1..<64 * 1024).contains(scene.waitingBytes))
      sender.text("then")
      scene.settle()
      let heard = scene.readOut(client)
      #expect((200...201).contains(heard.count))
      #expect(heard.last == "text then")
      #expect(heard.dropLast().allSatisfy { $0 == "text of 1000" })
    }
  }

  @Test func `a member that breaks the protocol is in no group from then on`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/news/")
      client.send([0xFF, 0xFF])
      scene.settle()
      #expect((scene.members(of: "news"), scene.sessions) == (0, 1))
    }
  }

  @Test func `a direct answer comes after what the client's group has ready for it`() async throws {
    try await serving { scene in
      let sender = try scene.open("/ws/news/")
      let member = try scene.open("/ws/news/")
      // The gateway reads both in one turn, in this order.
      sender.text("first")
      member.send(member.frame(.ping, Array("second".utf8)))
      scene.settle()
      #expect(member.heard() == ["text first", "pong second"])
      sender.text("first")
      member.close(1000)
      scene.settle()
      #expect(member.heard() == ["text first", "close 1000", "end"])
      // The same for a group that it has asked for.
      let other = try scene.open("/ws/extra/")
      let guest = try scene.open("/ws/asking/")
      guest.text(#"{"subscribe": "extra_1"}"#)
      scene.settle()
      _ = guest.heard()
      other.text(#"{"message": 1}"#)
      guest.send(guest.frame(.ping))
      scene.settle()
      #expect(guest.heard() == [#"text {"message": 1}"#, "pong"])
    }
  }

  @Test func `a client joins further groups of its route, leaves them, and cannot leave the route's own`()
    async throws
  {
    try await serving { scene in
      let client = try scene.open("/ws/asking/")
      let answers = [
        (#"{"subscribe": "extra_1"}"#, #"text {"subscribed":"extra_1"}"#),
        (#"{"subscribe": "extra_1"}"#, #"text {"subscribed":"extra_1"}"#),
        (
          #"{"subscribe": "other"}"#,
          #"text {"error":"\"other\" is not one of the groups that clients of this route may subscribe to"}"#
        ),
        (#"{"unsubscribe": "extra_1"}"#, #"text {"unsubscribed":"extra_1"}"#),
        (#"{"unsubscribe": "extra_1"}"#, #"text {"unsubscribed":"extra_1"}"#),
        (
          #"{"unsubscribe": "asking"}"#,
          #"text {"error":"\"asking\" is the group of this path, which cannot be left"}"#
        ),
      ]
      for (message, answer) in answers {
        client.text(message)
        scene.settle()
        #expect(client.heard() == [answer])
      }
    }
  }

  @Test func `a client subscribes to at most 256 groups`() async throws {
    try await serving { scene in
      let client = try scene.open("/ws/asking/")
      var heard: [String] = []
      for number in 0...256 {
        client.text("{\"subscribe\": \"extra_\(number)\"}")
        scene.settle()
        heard += client.heard()
      }
      #expect(heard.count == 257)
      #expect(
        heard.suffix(2) == [
          #"text {"subscribed":"extra_255"}"#,
          #"text {"error":"a session can subscribe to at most 256 groups"}"#,
        ])
    }
  }

  @Test func `who is there is told when a client comes, when it asks, and when another one goes`()
    async throws
  {
    try await serving { scene in
      let first = try scene.open("/ws/room/")
      let alone = #"text {"presence": {"users": [], "anonymous": 1, "count": 1}}"#
      #expect(try await scene.answer(to: first) == [alone])
      let second = try scene.open("/ws/room/")
      #expect(
        try await scene.answer(to: second)
          == [#"text {"presence": {"users": [], "anonymous": 2, "count": 2}}"#])
      #expect(try await scene.answer(to: first) == [#"text {"presence": {"anonymous": 2, "count": 2}}"#])
      second.hangUp()
      #expect(try await scene.answer(to: first) == [#"text {"presence": {"anonymous": 1, "count": 1}}"#])
      first.text(#"{"presence": "list"}"#)
      #expect(try await scene.answer(to: first) == [alone])
      first.text(#"{"presence": "now"}"#)
      scene.settle()
      #expect(
        first.heard() == [#"text {"error":"the value of \"presence\" must be \"list\""}"#])
    }
  }

  // MARK: - Tokens

  private func token(_ user: String, for seconds: Double) async throws -> String {
    let end = WallClock.secondsSinceEpoch + seconds
    return "{\"auth\": \"\(try await TokenMaker(.hs256).token("{\"sub\":\"\(user)\",\"exp\":\(end)}"))\"}"
  }

  @Test func `a token about to expire is told, another one goes on, and the end of it closes`() async throws {
    let (long, other) = (try await token("5", for: 1000), try await token("6", for: 1000))
    try await serving { scene in
      let client = try await scene.openAuthenticated("/ws/mine/")
      client.text("too early")
      scene.settle()
      #expect(client.heard() == [#"text {"error":"send {\"auth\": \"TOKEN\"} first"}"#])
      // Made when it is needed: it is good for 20 s of real time.
      client.text(try await token("5", for: 20))
      let first = try await scene.answer(to: client)
      #expect(first == [#"text {"auth":"ok"}"#, #"text {"auth":"expiring"}"#])
      client.text(long)
      client.text("from then on")
      let second = try await scene.answer(to: client)
      #expect(second == [#"text {"auth":"ok"}"#, "text from then on"])
      scene.expireTokens()
      #expect(client.heard() == ["close 4401 the token has expired"])
      let stranger = try await scene.openAuthenticated("/ws/mine/")
      stranger.text(long)
      let third = try await scene.answer(to: stranger)
      #expect(third == [#"text {"auth":"ok"}"#])
      stranger.text(other)
      let fourth = try await scene.answer(to: stranger)
      #expect(fourth == ["close 4401 the token belongs to another user"])
      // It is in no group any more, and what it says is not heard.
      stranger.text("unheard")
      let same = try await scene.openAuthenticated("/ws/mine/")
      same.text(long)
      same.text("unheard by the other")
      let fifth = try await scene.answer(to: same)
      #expect(fifth == [#"text {"auth":"ok"}"#, "text unheard by the other"])
      #expect(stranger.heard() == [])
    }
  }

  @Test func `a first token that does not come in time, or is not good, ends the session`() async throws {
    let late = try await token("5", for: -10)
    try await serving { scene in
      let silent = try await scene.openAuthenticated("/ws/mine/")
      let client = try await scene.openAuthenticated("/ws/mine/")
      client.text(late)
      let heard = try await scene.answer(to: client)
      #expect(heard == ["close 4401 the token has expired"])
      scene.pass(.seconds(60))
      #expect(silent.heard() == ["close 4401 no token arrived in time"])
      #expect(scene.counters.refusals.count == 2)
      #expect(scene.lines("no token arrived in time").count == 1)
    }
  }
}
