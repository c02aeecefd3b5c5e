import Testing
import WebSocketCore

@testable import Gateway
@testable import Sessions

private let application = """
  installed_apps: [proxy]
  limits: {message: 1KiB, handshake: 5s, ping: {interval: 10s, timeout: 5s}}
  applications:
    main:
      websocket:
        - {path: ws/up/, consumer: proxy, to: "unix:UPSTREAM"}
        - {path: ws/large/, consumer: proxy, to: "unix:UPSTREAM", limits: {message: 1MiB, send_queue: 4MiB}}
  """

/// Proxied sessions between a client and an upstream that both do what the test says.
struct UpstreamSessionTests {
  private func serving(_ body: (TurnedWorker) async throws -> Void) async throws {
    try await TurnedWorker.serving(application, body)
  }

  private static let lost = "close 1014 the connection to the upstream was lost"

  /// The line about the only upstream that failed, for a session of the first route.
  private func reason(_ scene: TurnedWorker) -> String? {
    let reasons = reasons(scene)
    return reasons.count < 2 ? reasons.first : "\(reasons)"
  }

  /// Of all lines of that kind; a line itself where it is not as it should be.
  private func reasons(_ scene: TurnedWorker) -> [String] {
    scene.lines("an upstream did not answer as expected").map { line in
      guard line.contains(" path=/ws/up/ "), line.contains("route=ws/up/"),
        let reason = line.split(separator: "reason=\"").last?.split(separator: "\"").first
      else { return "\(line)" }
      return String(reason)
    }
  }

  // MARK: - Messages

  @Test func `messages pass in both directions, and each side's pings are answered here`() async throws {
    try await serving { scene in
      let (client, upstream) = try await scene.openProxied()
      client.text("to the server")
      client.send(client.frame(.binary, [0x62, 0x31]))
      client.send(client.frame(.ping, Array("client".utf8)))
      upstream.text("to the client")
      upstream.send(upstream.frame(.binary, [0x62, 0x32]))
      scene.settle()
      #expect(upstream.heard() == ["text to the server", "binary b1"])
      #expect(client.heard().sorted() == ["binary b2", "pong client", "text to the client"])
      upstream.send(upstream.frame(.ping, Array("server".utf8)))
      scene.settle()
      #expect(upstream.heard() == ["pong server"])
      #expect(client.heard() == [])
      #expect(scene.sessions == 1)
    }
  }

  @Test func `what the upstream sends right behind its answer is the first message`() async throws {
    try await serving { scene in
      let first = [0x81, 0x05] + Array("first".utf8)
      let (client, upstream) = try await scene.openProxied(rest: first)
      #expect(client.heard() == ["text first"])
      upstream.text("second")
      scene.settle()
      #expect(client.heard() == ["text second"])
    }
  }

  @Test func `frames that come one byte at a time are whole messages on the other side`() async throws {
    try await serving { scene in
      let (client, upstream) = try await scene.openProxied()
      func pieces(_ peer: TestPeer) -> [UInt8] {
        peer.frame(.text, Array("a".utf8)) + peer.frame(.binary, [UInt8](repeating: 0x62, count: 150))
          + peer.frame(.text, Array("ü".utf8).dropLast(), isLast: false) + peer.frame(.ping)
          + peer.frame(.continuation, Array("ü".utf8.suffix(1)))
      }
      for byte in pieces(client) {
        client.send([byte])
        scene.settle()
      }
      for byte in pieces(upstream) {
        upstream.send([byte])
        scene.settle()
      }
      let heard = ["text a", "binary " + String(repeating: "b", count: 150)]
      #expect(upstream.heard() == heard + ["text ü", "pong"])
      #expect(client.heard() == ["pong"] + heard + ["text ü"])
    }
  }

  // MARK: - Back-pressure

  /// What may wait here, a message more, and what the kernel has room for, is less than this.
  private static let mostWaiting = 20

  @Test(arguments: [true, false])
  func `while one side does not read, the other one is not read either, and nothing is lost`(
    isClientIdle: Bool
  ) async throws {
    try await serving { scene in
      let (client, upstream) = try await scene.openProxied("/ws/large/")
      let (idle, sender) = isClientIdle ? (client, upstream) : (upstream, client)
      let message = sender.frame(.binary, [UInt8](repeating: 1, count: 50_000))
      let (whole, rest) = scene.flood(message, from: sender, most: Self.mostWaiting)
      #expect(whole < Self.mostWaiting)
      // The sender is not read, and so not judged by what it does not say; the other one is.
      for _ in 0..<20 {
        idle.send(idle.frame(.pong))
        scene.pass(.seconds(5))
      }
      #expect(scene.sessions == 1)
      #expect(scene.readOut(idle) == Array(repeating: "binary of 50000", count: whole))
      scene.push(rest, from: sender)
      #expect(scene.readOut(idle) == ["binary of 50000"])
    }
  }

  @Test func `an upstream that pings and does not read is not answered without end`() async throws {
    try await serving { scene in
      let (client, upstream) = try await scene.openProxied()
      let pings = Array(
        repeatElement(upstream.frame(.ping, [UInt8](repeating: 0x70, count: 125)), count: 100).joined())
      // All of them are read, in case a message comes behind them.
      #expect(scene.flood(pings, from: upstream, most: 40).whole == 40)
      upstream.text("behind")
      scene.settle()
      #expect(client.heard() == ["text behind"])
      let pongs = scene.readOut(upstream)
      #expect((1000..<3000).contains(pongs.count))
      #expect(Set(pongs) == ["pong " + String(repeating: "p", count: 125)])
    }
  }

  @Test func `an upstream that is gone before its client has read loses nothing that has arrived`()
    async throws
  {
    try await serving { scene in
      let (client, upstream) = try await scene.openProxied("/ws/large/")
      let message = upstream.frame(.binary, [UInt8](repeating: 1, count: 50_000))
      let (whole, _) = scene.flood(message, from: upstream, most: Self.mostWaiting)
      upstream.hangUp()
      scene.settle()
      #expect(
        scene.readOut(client) == Array(repeating: "binary of 50000", count: whole) + [Self.lost])
    }
  }

  @Test func `a client that is gone before its upstream has read loses nothing that has arrived`()
    async throws
  {
    try await serving { scene in
      let (client, upstream) = try await scene.openProxied("/ws/large/")
      let message = client.frame(.binary, [UInt8](repeating: 1, count: 50_000))
      let (whole, _) = scene.flood(message, from: client, most: Self.mostWaiting)
      client.hangUp()
      scene.settle()
      #expect(scene.readOut(upstream) == Array(repeating: "binary of 50000", count: whole) + ["end"])
      #expect(scene.sessions == 0)
    }
  }

  @Test func `an upstream that is not read is read again once its client has closed`() async throws {
    try await serving { scene in
      let (client, upstream) = try await scene.openProxied("/ws/large/")
      let message = upstream.frame(.binary, [UInt8](repeating: 1, count: 50_000))
      let (_, rest) = scene.flood(message, from: upstream, most: Self.mostWaiting)
      client.close(1000)
      scene.settle()
      #expect(upstream.heard() == ["close 1000"])
      #expect(scene.push(rest, from: upstream) == rest.count)
      upstream.close(1000)
      scene.settle()
      #expect(upstream.heard() == ["end"])
    }
  }

  @Test func `a side that is gone in the middle of a message takes up nothing`() async throws {
    try await serving { scene in
      let (_, upstream) = try await scene.openProxied("/ws/large/")
      upstream.send(upstream.frame(.binary, [UInt8](repeating: 1, count: 1000)).dropLast())
      scene.settle()
      #expect(scene.unfinishedBytes > 0)
      upstream.hangUp()
      scene.settle()
      scene.pass(.milliseconds(2100))
      #expect(scene.unfinishedBytes == 0)
    }
  }

  @Test func `upstreams that do not read, or do not finish their messages, do not use up the memory`()
    async throws
  {
    let yaml = """
      installed_apps: [proxy]
      limits: {message: 512KiB, send_queue: 1MiB, send_memory: 1MiB, receive_memory: 1MiB, ping: none}
      applications: {main: {websocket: [{path: ws/up/, consumer: proxy, to: "unix:UPSTREAM"}]}}
      """
    try await TurnedWorker.serving(yaml) { scene in
      var pairs: [(client: TestPeer, upstream: TestPeer)] = []
      let line = "the server read too slowly, and limits.send_memory is used up"
      while scene.lines(line).isEmpty, pairs.count < 10 {
        let pair = try await scene.openProxied()
        let message = pair.client.frame(.binary, [UInt8](repeating: 1, count: 50_000))
        _ = scene.flood(message, from: pair.client, most: Self.mostWaiting)
        pairs.append(pair)
        scene.pass(.milliseconds(10))
      }
      #expect((2..<10).contains(pairs.count))
      #expect(pairs.first?.client.heard() == [Self.lost])
      #expect(pairs.last?.client.heard() == [])
    }
    try await TurnedWorker.serving(yaml) { scene in
      var pairs: [(client: TestPeer, upstream: TestPeer)] = []
      while scene.gateway.process.receiveMemory.evictions.count == 0, pairs.count < 10 {
        let pair = try await scene.openProxied()
        scene.push(
          pair.upstream.frame(.binary, [UInt8](repeating: 1, count: 300_000)).dropLast(), from: pair.upstream)
        pairs.append(pair)
        scene.pass(.milliseconds(10))
      }
      #expect((2..<10).contains(pairs.count))
      #expect(pairs.first?.client.heard() == [Self.lost])
      #expect(
        pairs.first?.upstream.heard() == ["close 1009 the memory for received messages is used up", "end"])
      #expect(pairs.last?.client.heard() == [])
      // Two may have to give way to what comes in at once.
      let evictions = Int(scene.gateway.process.receiveMemory.evictions.count)
      #expect(evictions < pairs.count)
      let reason = "the server's messages were not delivered in time, and limits.receive_memory is used up"
      #expect(reasons(scene) == Array(repeating: reason, count: evictions))
    }
  }

  // MARK: - The end

  @Test func `a stop is told to both sides`() async throws {
    try await serving { scene in
      let (client, upstream) = try await scene.openProxied()
      _ = scene.stop()
      scene.settle()
      let told = ["close 1012 restarting; retry in 0.1s"]
      #expect(client.heard() == told)
      #expect(upstream.heard() == told)
      // Its answer says nothing new to the client.
      upstream.close(1012)
      scene.settle()
      #expect(upstream.heard() == ["end"])
      #expect(client.heard() == [])
      #expect(reason(scene) == nil)
    }
  }

  @Test func `a code and a reason of one side end the other`() async throws {
    try await serving { scene in
      let (client, upstream) = try await scene.openProxied()
      client.text("last")
      client.close(4001, "the client's")
      scene.settle()
      #expect(upstream.heard() == ["text last", "close 4001 the client's"])
      #expect(client.heard() == ["close 4001 the client's", "end"])
      // The upstream still talks; then it answers.
      upstream.text("unheard")
      upstream.close(4001, "the client's")
      scene.settle()
      #expect(upstream.heard() == ["end"])

      let (other, second) = try await scene.openProxied()
      second.text("last")
      second.close(4002, "the server's")
      scene.settle()
      #expect(second.heard() == ["close 4002 the server's", "end"])
      #expect(other.heard() == ["text last", "close 4002 the server's"])
      other.close(4002)
      other.finish()
      client.finish()
      scene.settle()
      #expect(scene.sessions == 0)
      #expect(scene.gateway.process.upstreamFailures.count.count == 0)
    }
  }

  @Test func `a close frame without a code is one on the other side too`() async throws {
    try await serving { scene in
      let (client, upstream) = try await scene.openProxied()
      upstream.send(upstream.frame(.close))
      scene.settle()
      #expect(client.heard() == ["close"])
      #expect(upstream.heard() == ["close", "end"])
      let (other, second) = try await scene.openProxied()
      other.send(other.frame(.close))
      scene.settle()
      #expect(other.heard() == ["close", "end"])
      #expect(second.heard() == ["close"])
    }
  }

  @Test func `an upstream that does not answer a close frame is cut off after five seconds`() async throws {
    try await serving { scene in
      let (client, upstream) = try await scene.openProxied()
      client.close(1000)
      client.finish()
      scene.settle()
      #expect(upstream.heard() == ["close 1000"])
      scene.pass(.milliseconds(4900))
      #expect(upstream.heard() == [])
      scene.pass(.milliseconds(200))
      #expect(upstream.heard() == ["end"])
    }
  }

  @Test(arguments: [true, false])
  func `an upstream that goes without a close frame is told as 1014, behind all that it has sent`(
    _ isCutOff: Bool
  ) async throws {
    try await serving { scene in
      let (client, upstream) = try await scene.openProxied()
      upstream.text("last")
      if isCutOff { upstream.hangUp() } else { upstream.finish() }
      scene.settle()
      #expect(client.heard() == ["text last", Self.lost])
      #expect(reason(scene) == "the server closed the connection without a close frame")
      #expect(scene.lines("status=1014").count == 1)
      scene.pass(.milliseconds(5100))
      #expect(scene.sessions == 0)
    }
  }

  @Test func `an upstream that does not answer pings is lost`() async throws {
    try await serving { scene in
      let (client, upstream) = try await scene.openProxied()
      for _ in 0..<3 {
        scene.pass(.milliseconds(9900))
        client.send(client.frame(.pong))
        upstream.send(upstream.frame(.pong))
        scene.settle()
      }
      #expect(upstream.heard() == [])
      scene.pass(.milliseconds(10_100))
      client.send(client.frame(.pong))
      scene.settle()
      #expect(upstream.heard() == ["ping"])
      scene.pass(.milliseconds(5100))
      #expect(upstream.heard() == ["end"])
      #expect(client.heard() == ["ping", Self.lost])
      #expect(reason(scene) == "the server did not answer pings")
    }
  }

  @Test(arguments: [
    ([0x81, 0x81, 0, 0, 0, 0, 0x61], 1002, "a frame was masked"),
    ([0x48, 0x54, 0x54, 0x50], 1002, "a reserved bit was set"),
    ([0x83, 0x00], 1002, "an unknown opcode"),
    ([0x81, 0x02, 0xC3, 0x28], 1007, "text that is not UTF-8"),
    ([0x82, 0x7E, 0x04, 0x01], 1009, "a message larger than allowed"),
  ])
  func `an upstream that breaks the protocol is told why, and its client that it is lost`(
    _ bytes: [UInt8], _ code: Int, _ fault: String
  ) async throws {
    try await serving { scene in
      let (client, upstream) = try await scene.openProxied()
      upstream.send(upstream.frame(.text, Array("good".utf8)) + bytes)
      scene.settle()
      #expect(client.heard() == ["text good", Self.lost])
      #expect(upstream.heard() == ["close \(code) \(fault)", "end"])
      #expect(reason(scene) == fault)
      // It is not the client's fault.
      #expect(scene.counters.protocolViolations.count == 0)
      upstream.hangUp()
      client.hangUp()
      scene.settle()
      #expect(scene.sessions == 0)
    }
  }

  @Test func `a client that breaks the protocol ends its upstream with the same code`() async throws {
    try await serving { scene in
      let (client, upstream) = try await scene.openProxied()
      client.send(client.frame(.binary, [UInt8](repeating: 1, count: 1025)))
      scene.settle()
      #expect(client.heard() == ["close 1009 a message larger than allowed", "end"])
      #expect(upstream.heard() == ["close 1009 a message larger than allowed"])
      #expect(reason(scene) == nil)
    }
  }

  @Test func `a client that is gone ends its upstream, which is sent what the client had said`() async throws
  {
    try await serving { scene in
      let (client, upstream) = try await scene.openProxied()
      client.text("last")
      client.hangUp()
      upstream.text("unheard")
      scene.settle()
      #expect(upstream.heard() == ["text last", "end"])
      #expect(scene.sessions == 0)
      for _ in 0..<100 { upstream.text("still") }
      scene.settle()
      upstream.hangUp()
      scene.settle()
      #expect(reason(scene) == nil)
      #expect(scene.connections == 0)
    }
  }

  // MARK: - The opening

  @Test func `an upstream's refusal is the client's answer`() async throws {
    try await serving { scene in
      let (client, upstream, _) = try await scene.askProxied("/ws/up/")
      upstream.send("HTTP/1.1 403 No\r\nContent-Length: 6\r\nX-Why: a\r\n\r\nnot")
      scene.settle()
      #expect(client.plain() == "")
      upstream.send(" you")
      scene.settle()
      let answer = client.plain()
      #expect(answer.hasPrefix("HTTP/1.1 403 "))
      #expect(answer.lowercased().contains("\r\nx-why: a\r\n"))
      #expect(answer.hasSuffix("\r\n\r\nnot yo"))
      #expect((scene.connections, scene.sessions) == (0, 0))
      #expect(reason(scene) == nil)
    }
  }

  @Test(arguments: [
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200"),
    ("HTTP/1.1 101 A\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n", "502"),
    ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "502"),
    ("", "502"),
  ])
  func `an upstream that speaks something else is answered for`(_ said: String, _ status: String) async throws
  {
    try await serving { scene in
      let (client, upstream, _) = try await scene.askProxied("/ws/up/")
      upstream.send(said)
      upstream.finish()
      scene.settle()
      #expect(client.plain().hasPrefix("HTTP/1.1 \(status) "))
      #expect((reason(scene) == nil) == (status == "200"))
      #expect(upstream.isOver)
    }
  }

  @Test func `an upstream that does not answer in time is given up, and one whose client is gone`()
    async throws
  {
    try await serving { scene in
      let (client, upstream, _) = try await scene.askProxied("/ws/up/")
      let (gone, second, _) = try await scene.askProxied("/ws/up/")
      gone.hangUp()
      scene.settle()
      #expect(second.isOver)
      #expect(!upstream.isOver)
      scene.pass(.milliseconds(5100))
      #expect(client.plain().hasPrefix("HTTP/1.1 504 "))
      #expect(upstream.isOver)
      #expect(scene.connections == 0)
    }
  }
}
