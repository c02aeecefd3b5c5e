import ChannelLayers
import GatewayConfig
import GatewayTestSupport
import LayerTestSupport
import NIOCore
import NIOPosix
import Routing

@testable import Gateway
@testable import Sessions
@testable import Transport
@testable import WebSocketCore

/// Workers whose reactors the test turns, one of them after the other, with a publisher between them.
final class PublishScene {
  let gateway: GatewayState
  private(set) var workers: [WorkerSessions] = []
  private var reactors: [Reactor] = []
  private(set) var mailboxes: [Mailbox<WorkerMessage>] = []
  private let writtenLines: WrittenLines
  private(set) var now = MonotonicTime.now
  /// Refused by the publisher, for want of room.
  var refusedEvents: Int { gateway.mail.refusals.count }

  static let token = "a-secret-of-sixteen"
  private static let file = """
    installed_apps: [broadcast]
    channel_layers: {default: {backend: memory}}
    applications:
      main:
        http:
          - path: publish/
            publish: {groups: ["room", "kept", "g*"], token: {env: TOKEN}, allow: [publish, groups, disconnect, history]}
          - {path: open/, publish: {groups: ["*"], anonymous: true, body: 1KiB, allow: [publish, history]}}
          - {path: grip/publish/, publish: {protocol: grip, groups: ["room"], secret: {env: TOKEN}}}
        websocket:
          - {path: ws/room/, consumer: broadcast, group: room}
          - {path: ws/kept/, consumer: broadcast, group: kept, history: {messages: 100}, deliver: {mine: {to: {user: "{owner}"}}}}
    """

  /// - Parameters:
  ///   - reactors: how many there are.
  ///   - mail: the bound on what waits for each, in bytes.
  static func serving(
    reactors count: Int = 2, mail: Int = 1 << 20, _ body: (PublishScene) async throws -> Void
  ) async throws {
    let configuration = try ConfigurationLoader.configuration(
      of: file, environment: ["TOKEN": token])
    let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let scene = PublishScene(configuration, count, loops)
    var failure: (any Error)?
    do { try await scene.addReactors(count, mail: mail, body) } catch { failure = error }
    try await scene.gateway.served.shutDown()
    try await loops.shutdownGracefully()
    if let failure { throw failure }
  }

  private init(_ configuration: Configuration, _ count: Int, _ loops: MultiThreadedEventLoopGroup) {
    writtenLines = WrittenLines(.text)
    gateway = GatewayState(
      configuration, threads: count, connectionLimit: 100, extraConnections: 1, loops: loops,
      log: writtenLines.log)
  }

  private func addReactors(
    _ count: Int, mail: Int, _ body: (PublishScene) async throws -> Void
  ) async throws {
    guard count > 0 else {
      gateway.publisher.connect(to: mailboxes)
      return try await body(self)
    }
    try await Reactor.withoutThread { reactor in
      reactor.boundMail(to: mail)
      let worker = WorkerSessions(on: reactor, number: workers.count, process: gateway.process)
      let mailbox = reactor.mailbox { (message: WorkerMessage) in
        switch message {
        case .perform(let work): work(worker)
        case .outcome(let outcome): worker.handle(outcome)
        case .start, .takeOver, .prepare, .exchange, .stop, .abandon: break
        }
      }
      worker.post = { mailbox.post(.outcome($0)) }
      reactors.append(reactor)
      workers.append(worker)
      mailboxes.append(mailbox)
      try await addReactors(count - 1, mail: mail, body)
    }
  }

  var publisher: Publisher { gateway.publisher }
  var layer: any LayerBackend { gateway.layers.all[0] }

  func end(_ worker: Int) -> any ChannelLayer { workers[worker].layers[layer].layer }

  /// The endpoint of a route, by its place in the file.
  func endpoint(_ route: Int = 0) -> PublishEndpoint {
    guard case .publish(let endpoint) = gateway.served.handlers[route] else {
      preconditionFailure("the route publishes")
    }
    return endpoint
  }

  /// The lines of the log with this text.
  func lines(_ text: String) -> [String] { writtenLines.all.filter { $0.contains(text) } }

  // MARK: - Time

  /// One turn of a reactor.
  ///
  /// - Returns: whether there was something to do.
  @discardableResult
  func turn(_ worker: Int) -> Bool { reactors[worker].turnOnce(at: now) }

  /// Makes turns until no reactor has anything to do.
  func settle() {
    while workers.indices.filter({ turn($0) }).isEmpty == false {}
  }

  /// - Parameter worker: the only one whose reactor turns; nil for all of them.
  func pass(_ time: Duration, only worker: Int? = nil) {
    for step in [Duration.zero, time] {
      now = now + step
      guard let worker else {
        settle()
        continue
      }
      while turn(worker) {}
    }
  }

  /// Makes turns until something has happened that other threads take part in.
  func until(_ condition: () -> Bool) async throws {
    try await waitUntil {
      settle()
      return condition()
    }
  }

  // MARK: - Members and requests

  /// A member on a worker's reactor.
  func join(_ group: String, on worker: Int) -> RecordingMember {
    let member = RecordingMember()
    end(worker).subscribe(to: group) { _ in }
    _ = end(worker).groups.join(
      member, group: group, route: ObjectIdentifier(TypeRenderer.self), renderer: TypeRenderer(end: " "))
    return member
  }

  /// The results of publishing, as they come.
  final class Results {
    var outcomes: [Publisher.Outcome]?
    var sessions: [Int]? { outcomes?.map(\.sessions) }
    var undelivered: [Undelivered?]? { outcomes?.map(\.published.undelivered) }
  }

  @discardableResult
  func publish(_ types: [String], to group: String = "room", from worker: Int = 0) -> Results {
    let results = Results()
    publisher.publish(
      types.map { GroupEvent(Event(type: $0), to: group) }, on: layer, from: workers[worker]
    ) { results.outcomes = $0 }
    return results
  }

  /// Sends a request to a route.
  @discardableResult
  func ask(
    _ method: String = "POST", _ path: String = "publish/", _ body: String? = nil,
    fields: [String: String] = [:], token: String? = PublishScene.token, on worker: Int = 0,
    isSlow: Bool = false
  ) -> FakeRequest {
    let request = FakeRequest(body)
    guard case .success(let place) = RequestPath.decode(target: Array("/\(path)".utf8)),
      let match = gateway.served.application.httpRouter.match(place)
    else { preconditionFailure("a route has this path") }
    var all = ["host": "a", "content-type": "application/json"]
    all["authorization"] = token.map { "Bearer \($0)" }
    let head = RequestHead(
      method: method, target: Array("/\(path)".utf8), minorVersion: 1,
      fields: all.merging(fields) { $1 }.map { HeaderField(name: $0.key, value: $0.value) })
    let exchange = HTTPExchange(
      head, of: Client(peer: .unix, isSecure: false), place, match, workers[worker], on: request)
    request.exchange = exchange
    request.isSlow = isSlow
    endpoint(match.route).respond(to: exchange)
    return request
  }
}

/// The connection of one request, which keeps its answer.
final class FakeRequest: HTTPExchangeConnection {
  weak var exchange: HTTPExchange?
  /// Whether the body comes only when `send` is called.
  var isSlow = false
  private let body: [UInt8]?
  private var isWaiting: ((Result<[UInt8], HTTPExchange.BodyFault>) -> Void)?
  private(set) var answers: [HTTPAnswer] = []
  private(set) var hasReadBody = false

  init(_ body: String?) {
    self.body = body.map { Array($0.utf8) }
  }

  func readBody(
    of exchange: HTTPExchange, atMost most: Int, growing share: MemoryShare,
    _ completed: @escaping (Result<[UInt8], HTTPExchange.BodyFault>) -> Void
  ) {
    hasReadBody = true
    guard !isSlow else { return isWaiting = completed }
    send(to: completed, atMost: most, share)
  }

  private func send(
    to completed: (Result<[UInt8], HTTPExchange.BodyFault>) -> Void, atMost most: Int, _ share: MemoryShare
  ) {
    guard let body else { return completed(.failure(.missing)) }
    guard body.count <= most else { return completed(.failure(.tooLarge)) }
    completed(share.resize(to: body.count) ? .success(body) : .failure(.noMemory))
  }

  /// The body fails, or does not come in time.
  func fail(_ fault: HTTPExchange.BodyFault) {
    let completed = isWaiting
    isWaiting = nil
    completed?(.failure(fault))
  }

  func answer(_ exchange: HTTPExchange, with answer: HTTPAnswer) { answers.append(answer) }

  /// The client goes.
  func hangUp() {
    let abandoned = exchange?.abandoned
    exchange?.abandoned = nil
    isWaiting = nil
    abandoned?()
  }

  /// `200 {...}`; nil without an answer.
  var answer: String? {
    answers.first.map { "\($0.status) \(String(decoding: $0.body, as: UTF8.self))" }
  }

  func field(_ name: String) -> String? { answers.first?.fields.first { $0.name == name }?.value }
}
