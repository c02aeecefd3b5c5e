import ChannelLayers
import GatewayConfig
import Logging
import Routing
import Transport
import WebSocketCore

/// One reactor's share of the gateway: it accepts connections, reads their request heads, and keeps the sessions.
///
/// Confined to its reactor; other threads reach it only through its mailbox.
final class Worker {
  let reactor: Reactor
  let gateway: GatewayState
  let http: HTTPService
  /// Nil without TLS.
  let tls: TLSService?
  let layers: WorkerLayers
  /// The routes for new connections.
  let served: ServedApplication
  let refusals: RefusalLog
  let compression: WorkerCompression
  let identities = WorkerIdentities()
  let unfinishedInput: UnfinishedInput

  /// Memberships in the groups for control events.
  var control: [ControlMember] = []

  private(set) var phase = Phase.serving
  private(set) var sessions: [any LiveSession] = []
  private(set) var pending: [ObjectIdentifier: PendingConnection] = [:]
  private var keepAlive: KeepAliveSweep?
  private var extras: ExtraConnections
  /// Who waits for connections to upstreams.
  private var connecting = Tickets<Result<Int32, any Error>>()
  /// The mailbox for other threads; set before the first connection.
  var mailbox: Mailbox<WorkerMessage>?

  enum Phase {
    case serving
    case stopping(Stopping)
    /// No connection is left, which has been reported; no new one is accepted.
    case stopped

    /// The remaining work of a stop, and the callback for its end.
    struct Stopping {
      var pace: ClosePace
      var finished: @Sendable () -> Void
    }
  }

  init(reactor: Reactor, number: Int, gateway: GatewayState, http: HTTPService, tls: TLSService?) {
    self.reactor = reactor
    self.gateway = gateway
    self.http = http
    self.tls = tls
    layers = WorkerLayers(gateway.layers, on: reactor, number: number)
    served = gateway.served
    extras = ExtraConnections(most: gateway.extraConnections)
    self.refusals = RefusalLog(gateway: gateway)
    unfinishedInput = UnfinishedInput(gateway: gateway, reactor: reactor)
    self.compression = WorkerCompression(budget: gateway.compressionContexts)
  }

  /// This worker's end of the layer with a route's groups; nil for a route without groups.
  func end(of layer: (any LayerBackend)?) -> (any ChannelLayer)? {
    layer.map { layers[$0].layer }
  }

  /// This worker's end of the route's presence; nil if the route has none.
  func presence(of route: SessionRoute) -> LocalPresence? {
    route.hasPresence ? route.layer.flatMap { layers[$0].presence } : nil
  }

  var isServing: Bool {
    if case .serving = phase { true } else { false }
  }

  /// Handles a message of another thread.
  func handle(_ message: WorkerMessage) {
    switch message {
    case .start(let listeners):
      startControl()
      for listener in listeners {
        // Unowned, here and below: the worker lives while its reactor runs.
        reactor.listen(on: Listener.adopting(listener.descriptor)) { [unowned self] descriptor in
          if listener.isSecure {
            acceptSecure(descriptor, on: listener)
          } else {
            accept(descriptor, on: listener)
          }
        } short: { [unowned self] code, descriptor in
          ranShort(code, descriptor, listener)
        }
      }
    case .takeOver(let connection):
      takeOver(connection)
    case .upstreamConnected(let ticket, let outcome):
      connecting.redeem(ticket)?(outcome)
    case .perform(let work):
      work(self)
    case .authenticated(let ticket, let outcome):
      identities.answered(ticket, outcome)
    case .stop(let order):
      stop(order)
    case .abandon:
      abandon()
    }
  }
}

// MARK: - Connections

extension Worker {
  private func accept(_ descriptor: consuming Descriptor, on listener: ListeningSocket) {
    var client: Client?
    if gateway.addresses != nil, !listener.hasProxyHeader {
      let peer = PeerAddress(of: descriptor)
      switch gateway.place(for: peer) {
      case .success(let place): client = Client(peer: peer, isSecure: false, place: place)
      case .failure(let refusal):
        gateway.addressRefusals.record(refusal, peer: peer)
        return hear(descriptor, as: .crowded(refusal), on: listener)
      }
    }
    let open = gateway.counters.connections.up()
    guard open <= gateway.acceptLimit else {
      gateway.counters.connections.down()
      return hear(descriptor, as: .onlyHealth, on: listener)
    }
    let connection = PendingConnection(
      worker: self, allowance: gateway.allowance(of: open), client: client,
      preface: listener.hasProxyHeader ? .proxyHeader : .none)
    pending[ObjectIdentifier(connection)] = connection
    connection.start(on: descriptor)
  }

  /// Accepts one connection more than there are places for, in case it is a health check.
  private func hear(
    _ descriptor: consuming Descriptor, as allowance: Allowance, on listener: ListeningSocket
  ) {
    let connection = PendingConnection(
      worker: self, allowance: allowance, preface: listener.hasProxyHeader ? .proxyHeader : .none)
    pending[ObjectIdentifier(connection)] = connection
    connection.start(on: descriptor)
    guard !connection.isAnswered else { return }
    extras.hear(connection)?.giveWay()
  }

  /// The system has no descriptor or no memory for another connection.
  private func ranShort(_ code: Int32, _ descriptor: consuming Descriptor?, _ listener: ListeningSocket) {
    guard let descriptor = consume descriptor else {
      extras.giveUpOne()?.abandon()
      return gateway.acceptFailures.record(code)
    }
    gateway.acceptFailures.record(code)
    // TLS would need two more descriptors.
    if !listener.isSecure { hear(descriptor, as: .onlyHealth, on: listener) }
  }

  /// The connection was answered, and may still be reading. It is kept a little longer.
  func answered(_ connection: PendingConnection) {
    extras.answer(connection)?.abandon()
  }

  /// Begins TLS on the connection, and serves the decrypted one. The time for the handshake runs already.
  private func acceptSecure(_ descriptor: consuming Descriptor, on listener: ListeningSocket) {
    var client = Client(peer: PeerAddress(of: descriptor), isSecure: true)
    if !listener.hasProxyHeader {
      switch gateway.place(for: client.peer) {
      case .success(let place): client.place = place
      case .failure(let refusal):
        // A refusal over TLS would be the most expensive of all answers.
        gateway.counters.refusals.up()
        return gateway.addressRefusals.record(refusal, peer: client.peer)
      }
    }
    let open = gateway.counters.connections.up()
    guard open <= gateway.acceptLimit else { return refuseSecure(client) }
    let allowance = gateway.allowance(of: open)
    guard listener.hasProxyHeader else {
      return goOnInTLS(descriptor, client, allowance, [], due: reactor.now + gateway.server.handshake)
    }
    let connection = PendingConnection(worker: self, allowance: allowance, preface: .proxyHeaderThenTLS)
    pending[ObjectIdentifier(connection)] = connection
    connection.start(on: descriptor)
  }

  /// Begins TLS with a client that is counted already.
  ///
  /// - Parameters:
  ///   - bytes: the first bytes of the client, which have been read.
  ///   - due: when the handshake must be complete.
  func goOnInTLS(
    _ descriptor: consuming Descriptor, _ client: Client, _ allowance: Allowance, _ bytes: [UInt8],
    due: MonotonicTime
  ) {
    // Includes connections that are not served any more, while their last bytes are on the way.
    guard let tls, tls.clientCount < gateway.acceptLimit,
      let decrypted = tls.serve(descriptor, Client(peer: client.peer, isSecure: true), first: bytes)
    else { return refuseSecure(client) }
    let connection = PendingConnection(worker: self, allowance: allowance, client: client)
    pending[ObjectIdentifier(connection)] = connection
    connection.start(on: Descriptor(adopting: decrypted), due: due)
  }

  private func refuseSecure(_ client: Client) {
    gateway.counters.connections.down()
    refusals.record(HandshakeRefusal(.tooManyConnections), target: nil, peer: client.peer)
  }

  /// A kept-alive connection of the HTTP service asks for a WebSocket after all.
  private func takeOver(_ handedOver: HandedOverConnection) {
    let descriptor = Descriptor(adopting: handedOver.descriptor)
    if case .stopped = phase { return gateway.counters.connections.down() }
    let allowance = gateway.allowance(of: gateway.counters.connections.count)
    let connection = PendingConnection(worker: self, allowance: allowance, client: handedOver.client)
    pending[ObjectIdentifier(connection)] = connection
    connection.start(on: descriptor)
    connection.received(head: handedOver.bytes)
  }

  /// The connection has become a session, was handed to the HTTP service, or is closed.
  func pendingEnded(_ connection: PendingConnection) {
    pending[ObjectIdentifier(connection)] = nil
    if connection.isAnswered || connection.isExtra { extras.forget(connection) }
    reportWhenFinished()
  }

  /// - Parameter wait: the shortest time after which the session has to be checked.
  func sessionOpened(_ session: any LiveSession, wait: Duration) {
    session.index = sessions.count
    sessions.append(session)
    gateway.counters.sessions.up()
    gateway.counters.sessionsOpened.up()
    sweep(within: wait)
  }

  func sessionEnded(_ session: any LiveSession) {
    let last = sessions.removeLast()
    if last !== session {
      last.index = session.index
      sessions[session.index] = last
    }
    gateway.counters.sessions.down()
    gateway.counters.connections.down()
    reportWhenFinished()
  }

  /// Connects to an upstream. The callee, on this reactor, owns the descriptor.
  func connect(
    to upstream: UpstreamConfiguration, _ completed: @escaping (Result<Int32, any Error>) -> Void
  ) {
    guard let mailbox else { return }
    let ticket = connecting.issue(completed)
    let done: @Sendable (Result<Int32, any Error>) -> Void = { outcome in
      guard !mailbox.post(.upstreamConnected(ticket: ticket, outcome)) else { return }
      // The reactor has ended.
      if case .success(let descriptor) = outcome { _ = Descriptor(adopting: descriptor) }
    }
    if upstream.scheme == .wss, let tls {
      tls.connect(to: upstream, done)
    } else {
      http.upstreams.connect(to: upstream, done)
    }
  }

  private func sweep(within wait: Duration) {
    let sweep = keepAlive ?? KeepAliveSweep(worker: self)
    keepAlive = sweep
    sweep.include(wait)
  }

  func countSlowReader(_ session: any LiveSession) {
    gateway.counters.slowReaders.up()
    gateway.log.tell(
      of: .slowReader, "a client read too slowly", ["route": "\(session.routeName)"])
  }

  /// Its bytes had waited longest when the memory for sending was used up.
  func countGivenWay(_ session: any LiveSession) {
    gateway.counters.slowReaders.up()
    gateway.sendMemory.countEviction(route: session.routeName)
  }

  func countPingTimeout(_ session: Session) {
    gateway.counters.pingTimeouts.up()
    gateway.log.tell(
      of: .pingTimeout, "a client stopped answering pings", ["route": "\(session.route.name)"])
  }

  func countVanished(_ session: any LiveSession) {
    gateway.counters.vanishedClients.up()
    gateway.log.debug("a client vanished", metadata: ["route": "\(session.routeName)"])
  }

  func countViolation(_ violation: ProtocolViolation, of session: Session) {
    gateway.counters.protocolViolations.up()
    gateway.log.debug(
      "a client violated the WebSocket protocol",
      metadata: ["route": "\(session.route.name)", "reason": "\(violation)"])
  }
}

// MARK: - Stopping

extension Worker {
  /// Accepts no new connections, and closes the sessions at a pace that spares the servers that clients reconnect to.
  private func stop(_ order: StopOrder) {
    guard isServing else { return }
    reactor.acceptWaiting(atMost: ListeningSockets.backlog)
    reactor.stopListening()
    for member in control { member.stop() }
    for connection in pending.values { connection.stop() }
    let pace = ClosePace(closing: sessions, order: order, reactor: reactor)
    phase = .stopping(.init(pace: pace, finished: order.finished))
    pace.start()
    reportWhenFinished()
  }

  /// Closes the remaining connections at once.
  private func abandon() {
    for session in sessions { session.abandon() }
    for connection in pending.values { connection.abandon() }
  }

  private func reportWhenFinished() {
    guard case .stopping(let stopping) = phase, sessions.isEmpty, pending.isEmpty else { return }
    stopping.pace.end()
    phase = .stopped
    stopping.finished()
  }
}
