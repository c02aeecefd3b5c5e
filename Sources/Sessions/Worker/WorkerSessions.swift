package import ChannelLayers
import GatewayConfig
import Logging
package import Transport
import WebSocketCore

/// One worker's sessions and the connections that may become some, with what they share: the reactor, its ends of the channel
/// layers, the users, and the bounds.
///
/// Confined to its reactor; other threads answer it with an `Outcome`.
package final class WorkerSessions {
  package let reactor: Reactor
  /// Of the reactor.
  package let number: Int
  package let process: ProcessState
  package private(set) var layers: WorkerLayers
  /// The routes for new connections.
  package private(set) var served: ServedRoutes
  /// The last one; nil while the worker serves what it began with.
  private var exchange: RouteExchange?
  /// While another program is about to serve routes that this one cannot; nil otherwise.
  var foreseen: ForeseenRoutes?
  package let refusals: RefusalLog
  let compression: WorkerCompression
  private var clock = HTTPClock()
  private var waysIn = WaysIn()
  let identities = WorkerIdentities()
  let unfinishedInput: UnfinishedInput
  /// Orders on many sessions. Unowned there: the worker lives while its reactor runs.
  private(set) lazy var sweep = SessionSweep(of: self)
  /// What views are told that nobody waits for.
  private(set) lazy var reports = ViewReporter(of: self)

  package private(set) var live: [any LiveSession] = []
  package private(set) var pending: [ObjectIdentifier: PendingConnection] = [:]
  private var keepAlive: KeepAliveSweep?
  /// Who waits for connections to upstreams.
  private var connecting = Tickets<Result<Int32, any Error>>()
  /// Those who ask views, by the view of a route.
  var askers: [ObjectIdentifier: RouteAsker] = [:]
  /// Of sessions that have ended, while their views are told the rest.
  let endedViews: EndedViews
  /// Of a stop: when the time for answers to what clients have sent is over.
  var lastAnswers: Timer?
  /// Whether clients of views are not read, so that what is under way with their views comes to an end.
  private(set) var holdsViews = false
  /// Those that visit all clients, by their number.
  var sweeps: [Int: LiveSweep] = [:]
  var nextSweep = 0
  /// Who waits for a `Reply`.
  var replies = Tickets<Void>()
  /// Of sessions that were taken over from another process and wait for the others.
  var going: [() -> Void] = []
  /// Set before the first connection.
  package weak var owner: (any SessionOwner)?
  /// Brings an outcome to this reactor, for other threads; false once it has ended. Set before the first connection.
  package var post: (@Sendable (Outcome) -> Bool)?

  /// What became of something that was asked of other threads.
  package enum Outcome: Sendable {
    /// The result of authenticating a client.
    case authenticated(ticket: Int, Authentication)
    /// The result of connecting to an upstream. Whoever waits for it becomes the owner of the descriptor.
    case connected(ticket: Int, Result<Int32, any Error>)
    /// A `Reply` was given.
    case replied(ticket: Int)
    /// The turn of a question to a view has come.
    case viewCalled(ViewCall)
  }

  package init(on reactor: Reactor, number: Int, process: ProcessState) {
    self.reactor = reactor
    self.number = number
    self.process = process
    let served = process.served
    self.served = served
    layers = WorkerLayers(served.layers, on: reactor, number: number)
    refusals = RefusalLog(process)
    unfinishedInput = UnfinishedInput(process, reactor: reactor)
    endedViews = EndedViews(reactor)
    compression = WorkerCompression(budget: process.compressionContexts)
  }

  /// Serves the routes that the process serves now. Living sessions adopt them, or end where there is none for them.
  ///
  /// - Parameter watcher: gets the counts once all sessions have had their turn, and is released then, or once the worker has ended.
  package func serveAnew(watcher: ExchangeTally? = nil) {
    let routes = process.served
    if routes !== served {
      served = routes
      compression.forgetRoutes()
      retireAskers()
      if let keepAlive { for wait in routes.waits { keepAlive.include(wait) } }
      exchange?.giveWay()
      let exchange = RouteExchange(of: self)
      self.exchange = exchange
      exchange.start()
    }
    // An earlier call may have begun to bring the sessions to these routes.
    if let watcher { exchange?.keep(watcher) }
  }

  /// Reads nothing more of the clients of views for now, or goes on. Of those that are closing only the answer is read, which no view is
  /// asked about.
  package func holdViews(_ holds: Bool) {
    holdsViews = holds
    for case let session as Session in live where session.view != nil {
      if !holds {
        session.readOn()
      } else if session.state == .open {
        session.connection.pauseReading()
      }
    }
  }

  package func handle(_ outcome: Outcome) {
    switch outcome {
    case .authenticated(let ticket, let outcome): identities.answered(ticket, outcome)
    case .connected(let ticket, let outcome): connecting.redeem(ticket)?(outcome)
    case .replied(let ticket): replies.redeem(ticket)?(())
    case .viewCalled(let call): called(call)
    }
  }

  /// The time for the `Date` of an answer.
  package var date: String { clock.now() }

  /// Whether new sessions are accepted.
  var isServing: Bool { owner?.isServing == true }
  package var stopRetry: Duration? { owner?.stopRetry }

  /// When a client is to come back that is refused because the gateway stops or, where its session could not be handed over, because
  /// another program is about to take over; nil where it is not refused.
  ///
  /// - Parameter isBound: whether its session could never be handed over.
  func retry(isBound: Bool) -> Duration? {
    guard isServing else { return owner?.stopRetry ?? .zero }
    return isBound ? owner?.boundRetry : nil
  }

  /// This worker's end of the layer with a route's groups; nil for a route without groups.
  func end(of layer: (any LayerBackend)?) -> (any ChannelLayer)? {
    layer.map { layers[$0].layer }
  }
}

// MARK: - What other threads do for them

extension WorkerSessions {
  /// Connects to an upstream. The callee, on this reactor, owns the descriptor.
  func connect(
    to upstream: UpstreamConfiguration, _ completed: @escaping (Result<Int32, any Error>) -> Void
  ) {
    guard let post, let owner else { preconditionFailure("an owner is set before the first connection") }
    let ticket = connecting.issue(completed)
    owner.connect(to: upstream) { outcome in
      guard !post(.connected(ticket: ticket, outcome)) else { return }
      // The reactor has ended.
      if case .success(let descriptor) = outcome { _ = Descriptor(adopting: descriptor) }
    }
  }

  /// Authenticates a client outside of the reactor.
  ///
  /// - Parameter completed: called once, on the reactor, unless the ticket is forgotten before.
  /// - Returns: the ticket of the request, which must be forgotten if the result is not needed any more.
  package func authenticate(
    by question: @escaping @Sendable () async -> Authentication,
    _ completed: @escaping (Authentication) -> Void
  ) -> Int {
    let post = post
    return identities.ask(completed) { ticket in
      // Kept under its ticket, and cancelled when the ticket is forgotten.
      Task {
        let outcome = await question()
        // If the reactor has ended, no session waits for the result.
        _ = post?(.authenticated(ticket: ticket, outcome))
      }
    }
  }

  /// The result of `authenticate` is not needed any more.
  package func forgetAuthentication(_ ticket: Int) { identities.forget(ticket) }
}

// MARK: - Their beginning and their end

extension WorkerSessions {
  /// Reads the request of a connection, and makes of it what it asks for.
  ///
  /// - Parameters:
  ///   - client: who has connected. A PROXY protocol header may name another one.
  ///   - due: when the decision about the connection is due; nil for the time of `limits.handshake`.
  ///   - tls: begins TLS on it; nil for none.
  ///   - first: bytes of the TLS that were read already.
  ///   - isRelayed: whether the client is behind a relay of this process.
  @discardableResult
  package func open(
    _ descriptor: consuming Descriptor, _ allowance: Allowance, of client: Client,
    _ preface: PendingConnection.Preface = .none, due: MonotonicTime? = nil, tls: TLSContext? = nil,
    first: [UInt8] = [], isRelayed: Bool = false
  ) -> PendingConnection {
    let connection = PendingConnection(self, allowance: allowance, client: client, preface: preface)
    pending[ObjectIdentifier(connection)] = connection
    connection.start(on: descriptor, due: due, tls: tls, first: first, isRelayed: isRelayed)
    return connection
  }

  /// The same for a request of an open connection that was used for plain ones before, and whose handler is being given the bytes.
  ///
  /// - Parameter bytes: begin with the whole head; what is behind it is the next handler's.
  package func open(
    _ connection: Connection, _ allowance: Allowance, of client: Client, reading bytes: RawSpan
  ) {
    let pending = PendingConnection(self, allowance: allowance, client: client, preface: .none)
    self.pending[ObjectIdentifier(pending)] = pending
    pending.start(on: connection, reading: bytes)
  }

  func pendingEnded(_ connection: PendingConnection) {
    pending[ObjectIdentifier(connection)] = nil
    owner?.pendingEnded(connection)
  }

  /// - Parameter wait: the shortest time after which the session has to be checked.
  func sessionOpened(_ session: any LiveSession, wait: Duration) {
    session.index = live.count
    live.append(session)
    process.counters.sessions.up()
    process.counters.sessionsOpened.up()
    let sweep = keepAlive ?? KeepAliveSweep(worker: self)
    keepAlive = sweep
    sweep.include(wait)
  }

  /// The handshake is over. If what is served was exchanged since it began, the session goes on by the route that its path leads to now,
  /// or ends.
  func sessionAccepted(_ session: any LiveSession) {
    foreseen?.accepted(session)
    guard let exchange, !session.isServed(by: served.live) else { return }
    exchange.adoptLate(session)
    compression.forgetRoutes(except: served.live)
  }

  /// Makes the worker's end of one more layer, before that runs and before a route refers to it.
  package func add(_ layer: any LayerBackend) { layers.add(layer) }

  /// No route refers to the layer any more.
  package func remove(_ layer: any LayerBackend) { layers.remove(layer) }

  /// The way in of a client, by what other clients keep of theirs.
  func shared(_ wayIn: WayIn) -> WayIn { waysIn.shared(wayIn) }

  /// Whether an exchange, or an upgrade, has clients that are still to be closed.
  package var isClosing: Bool { exchange?.isClosing == true || foreseen?.isClosing == true }

  /// Whether the session has not ended.
  func isLive(_ session: any LiveSession) -> Bool {
    live.indices.contains(session.index) && live[session.index] === session
  }

  func sessionEnded(_ session: any LiveSession) {
    let last = live.removeLast()
    if last !== session {
      last.index = session.index
      live[session.index] = last
    }
    process.counters.sessions.down()
    process.counters.connections.down()
    owner?.sessionEnded()
  }

  /// Closes all connections at once.
  package func abandon() {
    for session in live { session.abandon() }
    for connection in pending.values { connection.abandon() }
  }
}

// MARK: - What is told and counted of them

extension WorkerSessions {
  /// Begins the record of a session; nil where none is kept.
  func record(of client: Client, route: String, target: [UInt8]?, user: String?) -> SessionRecord? {
    guard served.logsSessions else { return nil }
    return SessionRecord(client, route: route, target: target, user: user, at: reactor.now, log: process.log)
  }

  func countSlowReader(_ session: any LiveSession) {
    process.counters.slowReaders.up()
    process.log.tell(of: .slowReader, "a client read too slowly", ["route": "\(session.routeName)"])
  }

  /// Its bytes had waited longest when the memory for sending was used up.
  func countGivenWay(_ session: any LiveSession) {
    process.counters.slowReaders.up()
    process.sendMemory.countEviction(route: session.routeName)
  }

  func countPingTimeout(_ session: Session) {
    process.counters.pingTimeouts.up()
    process.log.tell(of: .pingTimeout, "a client stopped answering pings", ["route": "\(session.route.name)"])
  }

  func countVanished(_ session: any LiveSession) {
    process.counters.vanishedClients.up()
    process.log.debug("a client vanished", metadata: ["route": "\(session.routeName)"])
  }

  func countViolation(_ violation: ProtocolViolation, of session: Session) {
    process.counters.protocolViolations.up()
    process.log.debug(
      "a client violated the WebSocket protocol",
      metadata: ["route": "\(session.route.name)", "reason": "\(violation)"])
  }
}
