import Bytes
import ChannelLayers
import Glibc
import LayerTestSupport
import NIOPosix
import Synchronization
import TestSupport
import Testing
import WebSocketCore

@testable import GatewayConfig
@testable import Sessions
@testable import Transport

/// A worker on a reactor that the test turns, whose sessions' view the test is.
final class LinkScene {
  /// Notes questions until they are answered.
  final class Asker: ViewAsker {
    private(set) var asked: [ViewQuestion] = []
    private var waiting: [(ViewOutcome) -> Void] = []

    func ask(
      _ question: ViewQuestion, _ terms: ViewTerms, _ completed: @escaping (ViewOutcome) -> Void
    ) -> Int {
      asked.append(question)
      waiting.append(completed)
      return asked.count
    }

    func forget(_ ticket: Int, _ over: (() -> Void)?) -> Bool { true }

    var isAsking: Bool { !waiting.isEmpty }

    func answer(_ outcome: ViewOutcome) {
      waiting.removeFirst()(outcome)
    }

    func answer(_ actions: [ViewAnswer.Action] = [], taken: Int? = nil, state: String? = nil) {
      var answer = ViewAnswer()
      answer.actions = actions
      answer.taken = taken
      answer.state = state.map { Array($0.utf8) }
      self.answer(.answered(answer))
    }
  }

  private final class Nobody: ConnectionHandler {
    func received(_ bytes: inout MutableRawSpan) {}
    func peerFinished() {}
    func drained() {}
    func closed(_ reason: ConnectionEnd) {}
  }

  let asker = Asker()
  let backend = NotingBackend()
  let lines = LogLines()
  let process: ProcessState
  let worker: WorkerSessions
  private let reactor: Reactor
  private var now: MonotonicTime
  private let outcomes = Outcomes()
  private var peers: [Int32] = []

  private final class Outcomes: Sendable {
    let all = Mutex<[WorkerSessions.Outcome]>([])
  }

  static func configuration(_ options: String = "") throws -> Configuration {
    try ConfigurationLoader.configuration(
      of: """
        installed_apps: [view]
        channel_layers: {default: {backend: memory}}
        applications:
          main:
            websocket:
              - {name: room, path: ws/room/, consumer: view, url: "unix:/nowhere.sock:/room/", unsigned: true, group: room, groups_from_view: ["room_<int:n>"], on: [connect, receive, disconnect]\(options)}
        """)
  }

  static func run(_ body: (LinkScene) throws -> Void) async throws {
    try await Reactor.withoutThread { reactor in
      let scene = try LinkScene(reactor)
      defer { for peer in scene.peers { _ = Glibc.close(peer) } }
      try body(scene)
      scene.worker.abandon()
      scene.settle()
    }
  }

  private init(_ reactor: Reactor) throws {
    self.reactor = reactor
    now = reactor.now
    let memory = MemoryBound(nil, otherwise: 1 << 20, .sending, log: .quiet)
    process = ProcessState(
      try Self.configuration(), ServedLayers([backend]), sendMemory: memory, memory: MemoryLimit.ofProcess(),
      threads: 1, connectionLimit: 10, loops: MultiThreadedEventLoopGroup.singleton, log: lines.log)
    worker = WorkerSessions(on: reactor, number: 0, process: process)
    worker.post = { [outcomes] outcome in
      outcomes.all.withLock { $0.append(outcome) }
      return true
    }
  }

  var route: SessionRoute { worker.served.routes[0] }

  func settle() {
    while true {
      let come = outcomes.all.withLock { all in
        defer { all = [] }
        return all
      }
      for outcome in come { worker.handle(outcome) }
      guard reactor.turnOnce(at: now) || !come.isEmpty else { return }
    }
  }

  func pass(_ time: Duration) {
    settle()
    now = now + time
    settle()
  }

  /// A session in the group `room` that its view has let in, and its client's end.
  func open(offering subprotocols: [String] = []) throws -> (session: Session, link: ViewLink, peer: Int32) {
    let view = try #require(route.configuration.consumer.view)
    let (own, other) = socketPair()
    setNonBlocking(other)
    peers.append(other)
    let connection = reactor.adopt(Descriptor(adopting: own), handler: Nobody())
    let session = Session(connection: connection, route: route, worker: worker)
    session.wayIn = WayIn(path: Array("ws/room/".utf8), page: nil)
    connection.handler = session
    let layer = try #require(session.layer)
    session.join("room", of: layer, isFirst: true)
    let request = ViewedRequest(
      target: "/room/", path: "/ws/room/", host: "a", client: "192.0.2.7", isSecure: false,
      connect: ViewQuestion.ConnectDetails(subprotocols: subprotocols))
    let link = ViewLink(
      session, at: session.joinAlone(), view, request, by: asker, patience: .seconds(5)
    ) { _ in true }
    link.named = ["room"]
    session.view = link
    process.counters.connections.up()
    worker.sessionOpened(session, wait: .seconds(60))
    link.begin()
    settle()
    asker.answer()
    settle()
    return (session, link, other)
  }

  func say(_ text: String = "x", to link: ViewLink) {
    let bytes = Array(text.utf8)
    link.received(.text, bytes.rawBytes)
  }

  /// What has come to a client since the last call.
  func heard(_ peer: Int32) -> String {
    settle()
    var chunk = [UInt8](repeating: 0, count: 65536)
    let count = unsafe recv(peer, &chunk, chunk.count, 0)
    return String(decoding: chunk.prefix(max(0, count)), as: UTF8.self)
  }
}
