import ChannelLayers
import Consumers
import GatewayConfig
import GatewayTestSupport
import Glibc
import LayerTestSupport
import NIOCore
import NIOPosix
import Synchronization
import TestSupport

@testable import Gateway
@testable import Sessions
@testable import Transport
@testable import WebSocketCore

/// A gateway with one worker, whose reactor the test turns: all of it happens on the test's own thread, at times that the test
/// sets. Clients come as they always do, through a listening socket, which is a Unix one.
///
/// The one place in these tests that makes a worker. What only a worker, or the gateway's own time, can do stands here too.
final class TurnedWorker {
  /// Something did not happen within twenty seconds, or not as the test needs it.
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  let worker: Worker
  private let reactor: Reactor
  private let writtenLines: WrittenLines
  private let folder: TemporaryFolder
  /// Where the test's upstream listens; -1 without one.
  private let upstreams: Int32
  private var now: MonotonicTime
  /// Kept until the end, so that none of them hangs up by itself.
  private var peers: [TestPeer] = []

  /// Serves a file for as long as the body runs. In its text, `UPSTREAM` stands for the path of the socket on which the test's
  /// upstream listens.
  ///
  /// - Parameters:
  ///   - connections: the limit on connections.
  ///   - extras: how many connections beyond all limits may be heard, and be answered.
  ///   - hasProxyHeader: whether each client begins with a header of the PROXY protocol.
  static func serving(
    _ yaml: String, connections: Int = 1000, extras: Int = 16, hasProxyHeader: Bool = false,
    _ body: (TurnedWorker) async throws -> Void
  ) async throws {
    let folder = try TemporaryFolder()
    let configuration = try ConfigurationLoader.configuration(
      of: yaml.replacing("UPSTREAM", with: folder.path("upstream")))
    let lines = WrittenLines(.text)
    let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let gateway = GatewayState(
      configuration, threads: 1, connectionLimit: connections, extraConnections: extras,
      loops: loops, log: lines.log)
    gateway.process.setReady(true)
    let http = HTTPService(gateway: gateway)
    gateway.layers.run()
    let service = Task { await http.run() }
    var failure: (any Error)?
    do {
      try await Reactor.withoutThread { reactor in
        let scene = try TurnedWorker(reactor, gateway, http, lines, folder)
        defer { if scene.upstreams >= 0 { _ = Glibc.close(scene.upstreams) } }
        try scene.listen(hasProxyHeader: hasProxyHeader)
        try await body(scene)
      }
    } catch { failure = error }
    await gateway.layers.stop(within: .seconds(2))
    http.abandon()
    http.endArrivals()
    await service.value
    try await gateway.served.shutDown()
    try await loops.shutdownGracefully()
    if let failure { throw failure }
  }

  private init(
    _ reactor: Reactor, _ gateway: GatewayState, _ http: HTTPService, _ lines: WrittenLines,
    _ folder: TemporaryFolder
  ) throws {
    self.reactor = reactor
    self.folder = folder
    writtenLines = lines
    now = reactor.now
    upstreams = try Listener.unix(path: folder.path("upstream")).take()
    reactor.boundSending(
      by: MemoryAllowance(of: gateway.process.sendMemory.budget, among: gateway.process.threads))
    reactor.boundMail(to: gateway.mail.bytes)
    let worker = Worker(reactor: reactor, number: 0, gateway: gateway, http: http, tls: nil)
    self.worker = worker
    let mailbox = reactor.mailbox { worker.handle($0) }
    worker.mailbox = mailbox
    http.connect(to: [mailbox])
  }

  private func listen(hasProxyHeader: Bool) throws {
    let listener = try Listener.unix(path: folder.path("gateway")).take()
    let manners = ListeningSocket.Manners(id: 0, isSecure: false, hasProxyHeader: hasProxyHeader)
    worker.handle(
      .start(listeners: [
        ListeningSocket(descriptor: listener, manners: manners)
      ]))
  }

  // MARK: - What it says of itself

  var gateway: GatewayState { worker.gateway }
  var counters: ProcessCounters { gateway.process.counters }
  var sessions: Int { worker.sessions.live.count }
  /// Connections that are open, by the count of the limit.
  var connections: Int { counters.connections.count }
  /// Connections of addresses that `limits.per_ip` counts.
  var addresses: Int { gateway.process.addresses?.sizes.open ?? 0 }

  /// Bytes that wait until clients read.
  var waitingBytes: Int { reactor.waitingBytes }
  /// Bytes of messages that clients have begun.
  var unfinishedBytes: Int { gateway.process.receiveMemory.budget.used }
  /// The only channel layer.
  private var layer: (any ChannelLayer)? { worker.sessions.end(of: gateway.layers.all.first) }

  func members(of group: String) -> Int { layer?.groups.memberCount(of: group) ?? 0 }

  /// Sends an event as another process would.
  func publish(_ event: Event, to group: String) {
    layer?.publish(event, to: group) { _ in }
  }

  /// The lines of the log with this text.
  func lines(_ text: String) -> [String] { writtenLines.all.filter { $0.contains(text) } }

  // MARK: - Time

  /// Makes turns until nothing is left to do at this time.
  func settle() {
    var turns = 0
    while reactor.turnOnce(at: now) {
      turns += 1
      precondition(turns < 100_000, "the reactor finds no rest")
    }
  }

  /// Lets time pass, all at once or in steps, after all that has come before.
  func pass(_ time: Duration, times: Int = 1) {
    settle()
    for _ in 0..<times {
      now = now + time
      settle()
    }
  }

  /// Makes turns until something has happened that other threads take part in.
  func until(_ condition: () throws -> Bool) async throws {
    try await waitUntil {
      settle()
      return try condition()
    }
  }

  // MARK: - Clients

  /// A request for a session.
  static func handshake(_ path: String) -> String {
    let lines = [
      "GET \(path) HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: Upgrade",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
    ]
    return lines.map { $0 + "\r\n" }.joined() + "\r\n"
  }

  /// A client that has connected and said nothing.
  func connect() throws -> TestPeer {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    let address = SocketAddress(unixPath: folder.path("gateway"))
    guard unsafe address.pass(to: { unsafe Glibc.connect(descriptor, $0, $1) }) == 0 else {
      throw Failure(description: "connect: \(errno)")
    }
    return keep(TestPeer(descriptor, isClient: true))
  }

  private func keep(_ peer: TestPeer) -> TestPeer {
    peers.append(peer)
    return peer
  }

  /// A client that has sent this.
  func ask(_ text: String) throws -> TestPeer {
    let client = try connect()
    client.send(text)
    settle()
    return client
  }

  /// The client of a session that has begun.
  ///
  /// - Parameter preface: what it sends before its request.
  func open(_ path: String, after preface: String = "") throws -> TestPeer {
    let client = try ask(preface + Self.handshake(path))
    return try accepted(client, by: client.head())
  }

  /// The same for a route whose clients have to be authenticated, which takes a moment.
  func openAuthenticated(_ path: String) async throws -> TestPeer {
    let client = try ask(Self.handshake(path))
    var head: String?
    try await until {
      head = client.head()
      return head != nil
    }
    return try accepted(client, by: head)
  }

  private func accepted(_ client: TestPeer, by head: String?) throws -> TestPeer {
    guard head?.hasPrefix("HTTP/1.1 101 ") == true else {
      throw Failure(description: "not accepted: \(head ?? "no answer")\(client.plain())")
    }
    return client
  }

  /// What the peer hears next.
  func answer(to peer: TestPeer) async throws -> [String] {
    var heard: [String] = []
    try await until {
      heard += peer.heard()
      return !heard.isEmpty
    }
    return heard
  }

  /// Gives the worker a connection that comes back from the HTTP service, with what was read there.
  func takeOver(_ text: String, from peer: PeerAddress = .unix) -> TestPeer {
    let (reactor, test) = socketPair()
    counters.connections.up()
    worker.handle(
      .takeOver(
        HandedOverConnection(
          descriptor: reactor, bytes: Array(text.utf8), client: Client(peer: peer, isSecure: false))))
    settle()
    return keep(TestPeer(test, isClient: true))
  }

  /// Sends all bytes, and lets the gateway read meanwhile.
  ///
  /// - Returns: how many of them were taken before nothing went on any more.
  @discardableResult
  func push(_ bytes: [UInt8], from peer: TestPeer) -> Int {
    var done = 0
    while done < bytes.count {
      let count = peer.send(bytes[done...].prefix(65536))
      settle()
      guard count > 0 else { break }
      done += count
    }
    return done
  }

  /// Sends a frame again and again, until the gateway takes no more.
  ///
  /// - Returns: how many were sent as a whole, at most `most`, and what has to follow so that the last one is.
  func flood(_ frame: [UInt8], from peer: TestPeer, most: Int) -> (whole: Int, rest: [UInt8]) {
    for count in 0..<most {
      let sent = push(frame, from: peer)
      if sent < frame.count { return (count, Array(frame[sent...])) }
    }
    return (most, frame)
  }

  /// Sends a text again and again, until a client has read what it is for too slowly.
  ///
  /// - Parameter each: called with the number of each one, once those who read could have it.
  /// - Returns: how many were sent, at most a thousand.
  func overrun(_ text: String, from peer: TestPeer, _ each: (Int) throws -> Void) rethrows -> Int {
    for number in 1...1000 {
      peer.text(text)
      settle()
      try each(number)
      if counters.slowReaders.count > 0 { return number }
    }
    return 1000
  }

  /// What the peer hears when it reads on, until nothing comes any more.
  func readOut(_ peer: TestPeer) -> [String] {
    var heard: [String] = []
    while true {
      let bytes = peer.received
      heard += peer.heard()
      settle()
      if peer.received == bytes { return heard }
    }
  }

  /// The same for a peer that is sent something else than frames.
  func readOutPlain(_ peer: TestPeer) -> String {
    var text = ""
    while true {
      let bytes = peer.received
      text += peer.plain()
      settle()
      if peer.received == bytes { return text }
    }
  }

  // MARK: - Upstreams

  /// A client of a proxied session that has begun, and its upstream.
  ///
  /// - Parameter rest: what the upstream sends right behind its answer.
  func openProxied(
    _ path: String = "/ws/up/", rest: [UInt8] = []
  ) async throws -> (client: TestPeer, upstream: TestPeer) {
    let (client, upstream, key) = try await askProxied(path)
    accept(key, by: upstream, rest: rest)
    return (try accepted(client, by: client.head()), upstream)
  }

  /// Lets the upstream accept the request with this key.
  func accept(_ key: String, by upstream: TestPeer, rest: [UInt8] = []) {
    let lines = [
      "HTTP/1.1 101 A", "Upgrade: websocket", "Connection: Upgrade",
      "Sec-WebSocket-Accept: \(Handshake.accept(for: key))",
    ]
    upstream.send(Array((lines.map { $0 + "\r\n" }.joined() + "\r\n").utf8) + rest)
    settle()
  }

  /// A client that waits for the answer of its upstream, which has got the request; and the key in it.
  func askProxied(_ path: String) async throws -> (client: TestPeer, upstream: TestPeer, key: String) {
    let client = try ask(Self.handshake(path))
    var taken: Int32 = -1
    try await until {
      taken = Glibc.accept(upstreams, nil, nil)
      return taken >= 0
    }
    let upstream = keep(TestPeer(taken, isClient: false))
    var head: String?
    try await until {
      head = upstream.head()
      return head != nil
    }
    let name = "Sec-WebSocket-Key: "
    let field = head?.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name.lowercased()) }
    return (client, upstream, String(field?.dropFirst(name.count) ?? ""))
  }

  // MARK: - Stopping

  /// Asks the worker to stop.
  ///
  /// - Returns: counts how often the worker has reported that it is done.
  func stop(grace: Duration = .seconds(10), next: NextListener = .after(.zero)) -> Reports {
    let reports = Reports()
    let plan = ClosePlan(closing: sessions, within: grace, next: next)
    let order = StopOrder(
      grace: grace, code: .serviceRestart, plan: plan, isReplaced: next == .now
    ) { reports.add() }
    worker.handle(.stop(order))
    return reports
  }

  final class Reports: Sendable {
    private let reported = Mutex(0)

    var count: Int { reported.withLock(\.self) }

    func add() { reported.withLock { $0 += 1 } }
  }

  /// Lets the tokens of all sessions expire, as if their time were over, and looks at them.
  func expireTokens() {
    for case let session as Session in worker.sessions.live {
      guard let identity = session.identity else { continue }
      session.feed.extras?.identity = Identity(user: identity.user, claims: identity.claims, expires: 0)
    }
    pass(.seconds(3600))
  }
}
