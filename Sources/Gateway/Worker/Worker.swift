import ChannelLayers
import GatewayConfig
import Glibc
import Sessions
import Transport
import WebSocketCore

/// One reactor's share of the gateway: it accepts connections, and owns the sessions that these become.
///
/// Confined to its reactor; other threads reach it only through its mailbox.
final class Worker {
  let sessions: WorkerSessions
  let gateway: GatewayState
  let http: HTTPService
  /// Nil without TLS.
  let tls: TLSService?
  private(set) var plain: HTTPConnections?
  /// The clients with TLS that the HTTP service serves.
  private let relays: PeerSweep<HTTPRelay>
  /// By the identification of the address. There are several sockets of one where the process before had more workers.
  private var listening: [Int: [ListeningPlace]] = [:]
  /// Memberships in the groups for control events.
  private var control: [ControlMember] = []
  private(set) var phase = Phase.serving
  /// For connections that have come back once the end was reported: the HTTP service waits for them meanwhile.
  private var stays: [HandedOverConnection.Stay] = []
  private var extras: ExtraConnections
  /// Once a stop closes sessions: its plan, and when that began.
  private var closing: (plan: ClosePlan, since: MonotonicTime)?
  /// A stop that lets the last clients in first.
  private var lastArrivals: LastArrivals?
  /// While another program is about to take over: what becomes of the sessions that cannot be handed over.
  private var bound: BoundSessions?
  /// The mailbox for other threads; set before the first connection.
  var mailbox: Mailbox<WorkerMessage>? {
    didSet { sessions.post = { [mailbox] in mailbox?.post(.outcome($0)) == true } }
  }

  enum Phase {
    case serving
    /// The remaining work of a stop, and the callback for its end.
    case stopping(ClosePace, finished: @Sendable () -> Void)
    /// No connection was left, which has been reported; no new one is accepted.
    case stopped
  }

  init(reactor: Reactor, number: Int, gateway: GatewayState, http: HTTPService, tls: TLSService?) {
    self.gateway = gateway
    self.http = http
    self.tls = tls
    sessions = WorkerSessions(on: reactor, number: number, process: gateway.process)
    extras = ExtraConnections(most: gateway.extraConnections)
    relays = PeerSweep(on: reactor, bound: gateway.clientSilence)
    sessions.owner = self
    plain = HTTPConnections(of: self)
  }

  var reactor: Reactor { sessions.reactor }
  private var process: ProcessState { gateway.process }

  /// Handles a message of another thread.
  func handle(_ message: WorkerMessage) {
    switch message {
    case .start(let listeners, let left):
      judgeControl()
      for listener in listeners + left { listen(on: listener) }
      for listener in left { stopListening(on: listener.manners.id) }
    case .takeOver(let connection): takeOver(connection)
    case .outcome(let outcome): sessions.handle(outcome)
    case .perform(let work): work(sessions)
    case .prepare(let work): work(self)
    case .exchange(let order): exchange(order)
    case .stop(let order): stop(order)
    case .abandon:
      lastArrivals?.cutShort()
      sessions.abandon()
      sessions.askEndsOnly()
      plain?.abandon()
      for relay in relays.members { relay.abandon() }
    }
  }

  /// Joins the control group on each layer where other processes can send something, and leaves it where a layer is not used any more.
  ///
  /// - Parameter isResumed: whether the program before was a member, and none of what comes may be missed.
  func judgeControl(isResumed: Bool = false) {
    let layers = sessions.served.application.takesOrders ? sessions.served.layers.all.filter(\.isShared) : []
    for (index, member) in control.enumerated().reversed() where !layers.contains(where: member.isOn) {
      member.stop()
      control.remove(at: index)
    }
    for layer in layers where !control.contains(where: { $0.isOn(layer) }) {
      let member = ControlMember(of: layer, sessions, unfit: gateway.unfitOrders)
      control.append(member)
      if isResumed { member.resume() } else { member.start() }
    }
  }
}

// MARK: - Reloading

extension Worker {
  /// Gets ready for what is served next.
  ///
  /// - Parameter layers: those that the worker has no end of.
  /// - Returns: what cannot be done; nil if everything is ready.
  func prepare(_ layers: [any LayerBackend], needsHandshakes: Bool) -> String? {
    if needsHandshakes, !reactor.hasHandshakeThread {
      do throws(TransportFailure) {
        try reactor.startHandshakeThread(name: "handshakes-\(sessions.number)")
      } catch {
        return "no thread for TLS could be started: \(error)"
      }
    }
    for layer in layers { sessions.add(layer) }
    return nil
  }

  /// Serves what the gateway serves now, at the addresses of now.
  private func exchange(_ order: ExchangeOrder) {
    sessions.serveAnew(watcher: order.tally)
    for manners in order.kept {
      for place in listening[manners.id] ?? [] { place.manners = manners }
    }
    guard isServing, lastArrivals == nil else {
      // A stop has begun meanwhile: nobody is accepted any more.
      for listener in order.opened { _ = Descriptor(adopting: listener.descriptor) }
      return
    }
    judgeControl()
    for listener in order.opened { listen(on: listener) }
    for id in order.closed { stopListening(on: id) }
  }

  /// Who waits there is accepted first.
  private func stopListening(on id: Int) {
    for place in listening.removeValue(forKey: id) ?? [] {
      if let index = place.index { reactor.stopListening(at: index) }
    }
  }

  private func listen(on socket: ListeningSocket) {
    let place = ListeningPlace(socket.manners)
    listening[socket.manners.id, default: []].append(place)
    // Unowned, here and below: the worker lives while its reactor runs.
    place.index = reactor.listen(on: Listener.adopting(socket.descriptor)) { [unowned self] descriptor in
      if place.manners.isSecure {
        acceptSecure(descriptor, on: place.manners)
      } else {
        accept(descriptor, on: place.manners)
      }
    } short: { [unowned self] code, descriptor in
      ranShort(code, descriptor, place.manners)
    }
  }
}

/// A socket that a worker listens on.
private final class ListeningPlace {
  var manners: ListeningSocket.Manners
  /// Where the reactor keeps it.
  var index: Int?

  init(_ manners: ListeningSocket.Manners) {
    self.manners = manners
  }
}

// MARK: - Connections

extension Worker {
  private func accept(_ descriptor: consuming Descriptor, on listener: ListeningSocket.Manners) {
    // Who is gone already is not served, and not taken for somebody else.
    guard let peer = PeerAddress(ofSocket: descriptor.rawValue) else { return }
    var client = Client(peer: peer, isSecure: false)
    if process.addresses != nil, !listener.hasProxyHeader {
      switch process.place(for: peer) {
      case .success(let place): client.place = place
      case .failure(let refusal): return hear(descriptor, of: client, as: .crowded(refusal), on: listener)
      }
    }
    let open = process.counters.connections.up()
    guard open <= gateway.acceptLimit else {
      process.counters.connections.down()
      return hear(descriptor, of: client, as: .onlyHealth, on: listener)
    }
    sessions.open(
      descriptor, gateway.allowance(of: open), of: client, listener.hasProxyHeader ? .proxyHeader : .none)
  }

  /// Accepts one connection more than there are places for, in case it is a health check.
  private func hear(
    _ descriptor: consuming Descriptor, of client: Client, as allowance: Allowance,
    on listener: ListeningSocket.Manners
  ) {
    let connection = sessions.open(
      descriptor, allowance, of: client, listener.hasProxyHeader ? .proxyHeader : .none)
    guard !connection.isAnswered else { return }
    extras.hear(connection)?.giveWay()
  }

  /// The system has no descriptor or no memory for another connection.
  private func ranShort(
    _ code: Int32, _ descriptor: consuming Descriptor?, _ listener: ListeningSocket.Manners
  ) {
    guard let descriptor = consume descriptor else {
      extras.giveUpOne()?.abandon()
      return gateway.acceptFailures.record(code)
    }
    gateway.acceptFailures.record(code)
    // An answer over TLS would be the most expensive one.
    guard !listener.isSecure, let peer = PeerAddress(ofSocket: descriptor.rawValue) else { return }
    hear(descriptor, of: Client(peer: peer, isSecure: false), as: .onlyHealth, on: listener)
  }

  /// Begins TLS on the connection, and serves the decrypted one. The time for the handshake runs already.
  private func acceptSecure(_ descriptor: consuming Descriptor, on listener: ListeningSocket.Manners) {
    guard let peer = PeerAddress(ofSocket: descriptor.rawValue) else { return }
    var client = Client(peer: peer, isSecure: true)
    if !listener.hasProxyHeader {
      switch process.place(for: client.peer) {
      case .success(let place): client.place = place
      case .failure:
        // A refusal over TLS would be the most expensive of all answers.
        process.counters.refusals.up()
        return
      }
    }
    let open = process.counters.connections.up()
    guard open <= gateway.acceptLimit else { return refuseSecure(client) }
    let allowance = gateway.allowance(of: open)
    guard listener.hasProxyHeader else {
      return goOnInTLS(descriptor, client, allowance, [], due: reactor.now + process.server.handshake)
    }
    sessions.open(descriptor, allowance, of: client, .proxyHeaderThenTLS)
  }

  private func refuseSecure(_ client: Client) {
    process.counters.connections.down()
    sessions.refusals.record(HandshakeRefusal(.tooManyConnections), target: nil, peer: client.peer)
  }

  /// A connection of the HTTP service has got a request that is not for it.
  private func takeOver(_ handedOver: HandedOverConnection) {
    let descriptor = Descriptor(adopting: handedOver.descriptor)
    if case .stopped = phase, let stay = handedOver.stay { stays.append(stay) }
    let allowance = gateway.allowance(of: process.counters.connections.count)
    sessions.open(descriptor, allowance, of: handedOver.client, isRelayed: handedOver.isRelayed)
      .received(head: handedOver.bytes)
  }
}

extension Worker: SessionOwner {
  var isServing: Bool {
    if case .serving = phase { true } else { false }
  }

  var stopRetry: Duration? {
    closing.map { $0.plan.retry(after: reactor.now.since($0.since)) }
  }

  var boundRetry: Duration? { bound?.retry }

  func connect(
    to upstream: UpstreamConfiguration, _ done: @escaping @Sendable (Result<Int32, any Error>) -> Void
  ) {
    guard upstream.scheme == .wss else { return http.upstreams.connect(to: upstream, done) }
    guard let tls else { preconditionFailure("a gateway with a wss upstream has a service for TLS") }
    tls.connect(to: upstream, done)
  }

  func serveHTTP(_ request: FirstRequest, on connection: Connection, of client: Client) {
    plain?.serve(request, on: connection, of: client)
  }

  /// Has the HTTP service serve a client with TLS.
  ///
  /// - Parameter bytes: what was read and decrypted.
  /// - Returns: false where there are no descriptors for it, or it is closed.
  func serveHTTP(through connection: Connection, _ bytes: [UInt8], of client: Client) -> Bool {
    guard let tls, !connection.isClosed, gateway.room.beginPair(beside: process.counters.connections.count)
    else { return false }
    guard let pair = try? Descriptor.socketPair() else {
      gateway.room.pairEnded()
      gateway.acceptFailures.record(EMFILE)
      return false
    }
    tls.relayBegan()
    let relay = HTTPRelay(from: connection, to: pair.0, on: reactor) { [unowned self] relay in
      relays.remove(relay)
      gateway.room.pairEnded()
      tls.relayEnded()
    }
    relays.add(relay)
    http.serve(HandedOverConnection(descriptor: pair.1, bytes: bytes, client: client, isRelayed: true))
    return true
  }

  func goOnInTLS(
    _ descriptor: consuming Descriptor, _ client: Client, _ allowance: Allowance, _ bytes: [UInt8],
    due: MonotonicTime
  ) {
    // Includes connections that are not served any more, while their last bytes are on the way.
    guard let tls, let context = tls.context, tls.relayCount < gateway.acceptLimit else {
      return refuseSecure(client)
    }
    sessions.open(descriptor, allowance, of: client, due: due, tls: context, first: bytes)
  }

  /// It is kept a little longer.
  func answered(_ connection: PendingConnection) {
    extras.answer(connection)?.abandon()
  }

  func pendingEnded(_ connection: PendingConnection) {
    if connection.isAnswered || connection.isExtra { extras.forget(connection) }
    reportWhenFinished()
  }

  func sessionEnded() { reportWhenFinished() }

  /// A connection of plain requests is closed, or somebody else handles it.
  func httpEnded() { reportWhenFinished() }
}

// MARK: - Another program takes over

extension Worker {
  /// Begins no more sessions that cannot be handed over, until `stayWithThisProgram`.
  ///
  /// - Returns: how many there are.
  func refuseBound(_ plan: ClosePlan) -> Int {
    bound?.end()
    // Unowned: the worker lives while its reactor runs, and ends this before.
    bound = BoundSessions(of: sessions, plan, share) { [unowned self] in
      for place in listening.values.joined() where place.manners.isSecure {
        if let index = place.index { reactor.pauseListening(at: index) }
      }
    }
    sessions.stopBoundOpenings()
    return sessions.boundCount
  }

  /// Closes those that there are, at a pace.
  func closeBound(_ code: CloseCode) { bound?.close(code) }

  /// How far that is.
  var boundProgress: BoundSessions.Progress { bound?.progress ?? .over }

  /// No other program takes over: everybody is let in again.
  func stayWithThisProgram() {
    sessions.forgetForeseen()
    bound?.end()
    bound = nil
    reactor.resumeListening()
  }
}

// MARK: - Stopping

extension Worker {
  /// How much of the grace views have for what clients have sent; the rest is for the ends of their sessions.
  private static let shareOfAnswers = 0.75

  /// Accepts no new connections, and closes the sessions.
  private func stop(_ order: StopOrder) {
    guard isServing, lastArrivals == nil else { return }
    reactor.acceptWaiting(atMost: Listener.backlog)
    reactor.stopListening()
    guard order.isReplaced else { return closeAll(order) }
    let begun = reactor.now
    // Unowned: the worker lives while its reactor runs.
    let last = LastArrivals(of: sessions, within: order.grace / 10) { [unowned self] in
      guard isServing else { return }
      var order = order
      order.grace -= min(order.grace, reactor.now.since(begun))
      closeAll(order)
    }
    lastArrivals = last
    last.start()
  }

  /// Ends what is served, the sessions at a pace that spares the servers that clients come back to.
  private func closeAll(_ order: StopOrder) {
    closing = (order.plan, reactor.now)
    for member in control { member.stop() }
    for connection in sessions.pending.values { connection.stop() }
    plain?.stop(within: order.grace)
    sessions.askEndsOnly(after: order.grace * Self.shareOfAnswers)
    let pace = ClosePace(sessions.live, by: order.plan, share, on: reactor) { session, retry in
      session.close(.restart(code: order.code, retry: retry))
    }
    phase = .stopping(pace, finished: order.finished)
    pace.start()
    reportWhenFinished()
  }

  private var share: ClosePace.Share { .init(reactor: sessions.number, of: process.threads) }

  private func reportWhenFinished() {
    guard !isServing, sessions.live.isEmpty, sessions.pending.isEmpty, plain?.isEmpty != false else { return }
    stays = []
    guard case .stopping(let pace, let finished) = phase else { return }
    pace.end()
    phase = .stopped
    finished()
  }
}
