import Foundation
import GatewayConfig
import TestSupport
import Testing
import WebSocketCore

@testable import Gateway
@testable import Sessions
@testable import Transport

private let application = """
  installed_apps: [echo, broadcast]
  channel_layers: {default: {backend: memory}}
  limits: {handshake: 5s, per_ip: PER_IP}
  applications:
    main:
      http:
        - {path: events/, events: news}
        - {path: ready, health: ready}
        - {path: files/, static: /dev}
      websocket:
        - {path: ws/echo/, consumer: echo}
        - {path: ws/news/, consumer: broadcast, group: news}
  """

private let probe = "GET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
private let stream = "GET /events/ HTTP/1.1\r\nHost: a\r\n\r\n"

/// The connections of a worker, from the accept to its own end.
struct WorkerTests {
  private func serving(
    perAddress: String = "none", connections: Int = 1000, extras: Int = 16, hasProxyHeader: Bool = false,
    _ body: (TurnedWorker) async throws -> Void
  ) async throws {
    try await TurnedWorker.serving(
      application.replacing("PER_IP", with: perAddress), connections: connections, extras: extras,
      hasProxyHeader: hasProxyHeader, body)
  }

  /// The status of an answer, and the sentence in it.
  private func answer(_ client: TestPeer) -> String {
    let lines = client.plain().split(separator: "\r\n")
    return "\(lines.first?.split(separator: " ").dropFirst().first ?? "nothing") \(lines.last ?? "")"
  }

  // MARK: - Limits

  @Test func `beyond the limit a session is refused, and beyond the next one only health checks are heard`()
    async throws
  {
    let full = "503 All connections are in use; try again later.\n"
    try await serving(connections: 1, extras: 2) { scene in
      let first = try scene.open("/ws/echo/")
      // A place for HTTP is left, not for a session; the refused one gives its place back.
      let second = try scene.ask(TurnedWorker.handshake("/ws/echo/"))
      #expect(answer(second) == full)
      #expect(scene.connections == 1)
      let silent = try (0..<GatewayState.beyond(1)).map { _ in try scene.ask("") }
      #expect(scene.connections == 17)
      let healthy = try scene.ask(probe)
      #expect(answer(healthy) == "200 ready\n")
      let beyond = try scene.ask(TurnedWorker.handshake("/ws/echo/"))
      #expect(answer(beyond) == full)
      // Of those that say nothing only the last few are heard.
      let unheard = try (0..<3).map { _ in try scene.ask("") }
      #expect(unheard.map { answer($0) } == [full, "nothing ", "nothing "])
      #expect(scene.connections == 17)
      for client in [first] + silent + [second, healthy, beyond] + unheard { client.hangUp() }
      scene.settle()
      #expect(scene.connections == 0)
      #expect(scene.worker.sessions.pending.isEmpty)
      let next = try scene.open("/ws/echo/")
      next.hangUp()
    }
  }

  @Test func `health checks that come at once are all heard, and take nobody's place`() async throws {
    try await serving(connections: 1, extras: 2) { scene in
      let within = try scene.ask(probe)
      #expect(answer(within) == "200 ready\n")
      // It may still be reading, and is not counted.
      #expect((scene.connections, scene.worker.sessions.pending.count) == (0, 1))
      for _ in 0..<17 { _ = try scene.ask("") }
      let probes = try (0..<5).map { _ in
        let client = try scene.connect()
        client.send(probe)
        return client
      }
      scene.settle()
      #expect(probes.map { answer($0) } == Array(repeating: "200 ready\n", count: 5))
      #expect(scene.connections == 17)
    }
  }

  /// The ways in which a connection of an address comes to its end.
  enum Ending: CaseIterable {
    case closed, cutOff, halfClosed, violation, unknownPath, badHead, timeOut, noTime, stream, toHTTP
  }

  @Test(arguments: Ending.allCases)
  func `however a connection ends, its address has its place again`(_ ending: Ending) async throws {
    try await serving(perAddress: "{connections: 1}", hasProxyHeader: true) { scene in
      let header = "PROXY TCP4 203.0.113.7 192.0.2.1 5000 80\r\n"
      let isStream = ending == .stream
      let request =
        switch ending {
        case .unknownPath: TurnedWorker.handshake("/nowhere/")
        case .badHead: "GET / HTTP/1.1\r\n:\r\n\r\n"
        case .timeOut: "GET /"
        case .toHTTP: "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"
        default: isStream ? stream : TurnedWorker.handshake("/ws/echo/")
        }
      let client = try scene.ask(header + request)
      let isOver = [.unknownPath, .badHead].contains(ending)
      #expect(scene.addresses == (isOver ? 0 : 1))
      if !isOver {
        let second = try scene.ask(header + TurnedWorker.handshake("/ws/echo/"))
        #expect(answer(second).hasPrefix("429 There are too many connections from this address"))
        second.hangUp()
        scene.settle()
        #expect(scene.addresses == 1)
      }
      switch ending {
      case .closed:
        client.close(1000)
        client.finish()
      case .cutOff, .stream: client.hangUp()
      case .halfClosed: client.finish()
      case .violation: client.send([0xFF, 0xFF])
      case .timeOut: scene.pass(.seconds(6))
      case .noTime: scene.worker.handle(.abandon)
      case .unknownPath, .badHead, .toHTTP: break
      }
      scene.settle()
      if ending == .violation { scene.pass(.seconds(3)) }
      if ending == .toHTTP {
        // It is the HTTP side's now, place and all.
        #expect((scene.addresses, scene.connections, scene.worker.sessions.pending.isEmpty) == (1, 1, true))
        return
      }
      #expect(scene.addresses == 0)
      let next = try scene.open("/ws/echo/", after: header)
      #expect(scene.addresses == 1)
      next.hangUp()
    }
  }

  @Test func `a head that does not come in time is refused, and a connection that only waits is too`()
    async throws
  {
    try await serving { scene in
      let begun = try scene.ask("GET /ws/echo/ HT")
      scene.pass(.milliseconds(4900))
      #expect(answer(begun) == "nothing ")
      scene.pass(.milliseconds(200))
      #expect(answer(begun) == "408 The request head did not arrive in time.\n")
      #expect(scene.connections == 0)
      #expect(scene.lines("The request head did not arrive in time").count == 1)
      scene.pass(.milliseconds(2100))
      #expect(scene.worker.sessions.pending.isEmpty)
    }
  }

  // MARK: - Stopping

  @Test func `a stop closes a few sessions at once and the others at a pace, and is reported once`()
    async throws
  {
    try await serving { scene in
      let clients = try (0..<60).map { _ in try scene.open("/ws/echo/") }
      func told() -> Int { clients.count { !$0.heard().isEmpty } }
      let reports = scene.stop()
      scene.settle()
      #expect(told() == 25)
      scene.pass(.milliseconds(40))
      #expect(told() == 0)
      scene.pass(.milliseconds(30))
      #expect(told() == 25)
      scene.pass(.milliseconds(70))
      #expect(told() == 10)
      for client in clients.dropLast() { client.hangUp() }
      scene.settle()
      #expect(reports.count == 0)
      // The last one never answers.
      scene.pass(.seconds(5))
      #expect(reports.count == 1)
      #expect((scene.sessions, scene.connections) == (0, 0))
      let again = scene.stop()
      scene.worker.handle(.abandon)
      scene.pass(.seconds(10))
      #expect((reports.count, again.count) == (1, 0))
    }
  }

  @Test func `the pace of a stop spreads the sessions over half of its grace`() async throws {
    try await serving { scene in
      let clients = try (0..<120).map { _ in try scene.open("/ws/echo/") }
      // Two ticks of a twentieth of a second.
      _ = scene.stop(grace: .milliseconds(200))
      scene.settle()
      #expect(clients.count { !$0.heard().isEmpty } == 60)
      scene.pass(.milliseconds(70))
      #expect(clients.count { !$0.heard().isEmpty } == 60)
    }
  }

  @Test func `a worker without connections has stopped at once`() async throws {
    try await serving { scene in
      let reports = scene.stop()
      #expect(reports.count == 1)
      scene.settle()
      #expect(throws: TurnedWorker.Failure.self) { try scene.connect() }
      #expect(reports.count == 1)
    }
  }

  @Test func `a stop accepts who waits in the queue, and answers what has begun`() async throws {
    try await serving { scene in
      let silent = try scene.ask("")
      let begun = try scene.ask("GET /ws/")
      // Not accepted yet.
      let waiting = try scene.connect()
      waiting.send(TurnedWorker.handshake("/ws/echo/"))
      let reports = scene.stop()
      scene.settle()
      #expect(silent.heard() == ["end"])
      #expect(answer(begun) == "503 The gateway is being restarted; retry in 0.0s.\n")
      #expect(waiting.head()?.hasPrefix("HTTP/1.1 101 ") == true)
      #expect(waiting.heard() == ["close 1012 restarting; retry in 0.0s"])
      for client in [begun, waiting] { client.hangUp() }
      scene.settle()
      #expect(reports.count == 1)
    }
  }

  @Test func `an exchange opens nothing once a stop has begun, be it that others listen already`()
    async throws
  {
    for next in [NextListener.after(.zero), .now] {
      try await serving { scene in
        // Has not asked for anything yet, and is waited for where others listen.
        let late = try scene.ask("")
        _ = scene.stop(next: next)
        let folder = try TemporaryFolder()
        let opened = ListeningSocket(
          descriptor: try Listener.unix(path: folder.path("new")).take(),
          manners: .init(id: 1, isSecure: false, hasProxyHeader: false))
        scene.worker.handle(.exchange(ExchangeOrder(opened: [opened], tally: ExchangeTally { _ in })))
        scene.settle()
        #expect(scene.worker.reactor.listeners.isEmpty)
        late.hangUp()
        scene.settle()
      }
    }
  }

  @Test func `sessions that end while a stop closes them are counted once`() async throws {
    try await serving { scene in
      // A stream ends at once when it is closed, and those whose clients are gone while they are told so.
      let streams = try (0..<5).map { _ in try scene.ask(stream) }
      let sessions = try (0..<5).map { _ in try scene.open("/ws/news/") }
      #expect(scene.sessions == 10)
      for client in [streams[1], streams[4], sessions[0], sessions[3]] { client.hangUp() }
      let reports = scene.stop()
      scene.settle()
      for client in streams + sessions { client.hangUp() }
      scene.settle()
      #expect(reports.count == 1)
      #expect((scene.sessions, scene.connections, scene.counters.sessions.count) == (0, 0, 0))
      #expect(scene.counters.sessionsOpened.count == 10)
    }
  }

  @Test func `sessions that end within the same sweep leave the others in their places`() async throws {
    try await TurnedWorker.serving(
      """
      installed_apps: [echo]
      limits: {ping: {interval: 1s, timeout: 1s}}
      applications: {main: {websocket: [{path: ws/echo/, consumer: echo}]}}
      """
    ) { scene in
      let clients = try (0..<9).map { _ in try scene.open("/ws/echo/") }
      scene.pass(.milliseconds(1100))
      // All are looked at within a quarter of the interval.
      scene.pass(.milliseconds(130), times: 2)
      #expect(clients.map { $0.heard() } == Array(repeating: ["ping"], count: 9))
      for client in clients[..<3] { client.send(client.frame(.pong)) }
      for client in clients[6...] { client.hangUp() }
      scene.pass(.milliseconds(900), times: 1)
      scene.pass(.milliseconds(130), times: 3)
      let lost = clients[3..<6].map { $0.heard() }
      #expect(lost == Array(repeating: ["close 1001 no answer to a ping", "end"], count: 3))
      for client in clients[3..<6] { client.hangUp() }
      scene.settle()
      #expect(scene.sessions == 3)
      let indices = scene.worker.sessions.live.map(\.index)
      #expect(indices == [0, 1, 2])
      for client in clients[..<3] {
        client.text("here")
        scene.settle()
        #expect(client.heard().last == "text here")
      }
    }
  }

  @Test func `when the time for a stop is over, nothing is waited for any more`() async throws {
    try await serving { scene in
      let open = try scene.open("/ws/echo/")
      // Its last bytes are waited for.
      let closed = try scene.open("/ws/echo/")
      closed.close(1000)
      let refused = try scene.ask(TurnedWorker.handshake("/nowhere/"))
      let reports = scene.stop()
      scene.settle()
      #expect((scene.sessions, reports.count) == (2, 0))
      scene.worker.handle(.abandon)
      scene.settle()
      #expect((scene.sessions, scene.connections, reports.count) == (0, 0, 1))
      #expect([open, closed, refused].allSatisfy { $0.isOver })
    }
  }

  @Test func `a session is looked at, though there were none for a while`() async throws {
    try await TurnedWorker.serving(
      """
      installed_apps: [echo]
      limits: {ping: {interval: 1s, timeout: 1s}}
      applications: {main: {websocket: [{path: ws/echo/, consumer: echo}]}}
      """
    ) { scene in
      for _ in 0..<2 {
        let client = try scene.open("/ws/echo/")
        scene.pass(.milliseconds(1100))
        #expect(client.heard() == ["ping"])
        client.hangUp()
        scene.pass(.seconds(1), times: 2)
        #expect(scene.sessions == 0)
      }
    }
  }

  // MARK: - Messages of other threads

  @Test func `a connection that comes back from the HTTP side becomes a session`() async throws {
    try await serving { scene in
      let client = scene.takeOver(TurnedWorker.handshake("/ws/echo/"))
      #expect(client.head()?.hasPrefix("HTTP/1.1 101 ") == true)
      client.text("here")
      scene.settle()
      #expect(client.heard() == ["text here"])
      #expect((scene.sessions, scene.connections) == (1, 1))
      let refused = scene.takeOver(TurnedWorker.handshake("/nowhere/"))
      #expect(answer(refused).hasPrefix("404 "))
      #expect(scene.connections == 1)
    }
    try await serving(connections: 1) { scene in
      _ = try scene.open("/ws/echo/")
      let beyond = scene.takeOver(TurnedWorker.handshake("/ws/echo/"))
      #expect(answer(beyond) == "503 All connections are in use; try again later.\n")
      #expect(scene.connections == 1)
    }
  }

  @Test func `a connection is seen all the way to the HTTP side and back`() async throws {
    try await serving { scene in
      let http = scene.worker.http
      // Nobody there has taken it yet.
      let client = try scene.ask("GET /files/none HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(http.load == .init(count: 1, arrived: 1))
      var answer = ""
      try await scene.until {
        answer += client.plain()
        return answer.contains("\r\n\r\n")
      }
      #expect(http.load == .init(count: 1, arrived: 1))
      client.send(TurnedWorker.handshake("/ws/echo/"))
      try await scene.until {
        let load = http.load
        #expect(load.count == 1 || scene.sessions == 1)
        return load.count == 0
      }
      #expect(scene.sessions == 1)
      #expect(http.load == .init(count: 0, arrived: 1))
    }
  }

  @Test func `a worker refuses what comes back while it stops, and also once it has stopped`() async throws {
    try await serving { scene in
      let session = try scene.open("/ws/echo/")
      let reports = scene.stop()
      let refused = scene.takeOver(TurnedWorker.handshake("/ws/echo/"))
      #expect(answer(refused) == "503 The gateway is being restarted; retry in 0.1s.\n")
      session.hangUp()
      scene.settle()
      // The answer is on its way.
      #expect(reports.count == 0)
      refused.hangUp()
      scene.settle()
      #expect((reports.count, scene.connections) == (1, 0))
      let late = scene.takeOver(TurnedWorker.handshake("/ws/echo/"))
      #expect(answer(late) == "503 The gateway is being restarted; retry in 0.1s.\n")
      late.hangUp()
      scene.settle()
      #expect(scene.connections == 0)
      scene.worker.handle(.outcome(.authenticated(ticket: 5, .anonymous)))
      scene.settle()
      #expect(reports.count == 1)
    }
  }

  /// The number of open descriptors is the whole process's, so that it is asked for in a process of its own.
  @Test func `no descriptor is left of all the connections that have ended`() async throws {
    await #expect(processExitsWith: .success) {
      func descriptors() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
      }
      func round() async throws {
        try await TurnedWorker.serving(
          application.replacing("PER_IP", with: "none"), connections: 4, extras: 2
        ) { scene in
          let before = try descriptors()
          var clients = [
            try scene.open("/ws/echo/"), try scene.open("/ws/news/"), try scene.ask(stream),
            try scene.ask("GET /"), try scene.ask(TurnedWorker.handshake("/ws/echo/")),
            scene.takeOver(TurnedWorker.handshake("/ws/echo/")),
          ]
          for _ in 0..<20 { clients.append(try scene.ask("")) }
          clients.append(try scene.ask(probe))
          clients[0].close(1000)
          clients[1].send([0xFF, 0xFF])
          scene.settle()
          scene.pass(.seconds(10))
          _ = scene.stop()
          scene.pass(.seconds(10))
          clients.append(scene.takeOver("GET /"))
          for client in clients { client.hangUp() }
          scene.settle()
          // The listening socket and what it had in reserve are closed too.
          guard try descriptors() <= before - 1 - Acceptor.spareCount else { exit(1) }
        }
      }
      try await round()
      let before = try descriptors()
      try await round()
      guard try descriptors() == before else { exit(2) }
    }
  }
}
