import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import JSON
import Routing
import Transport
import WebSocketCore

/// A connection whose request head is still being read, before it becomes a session or an HTTP connection, or is refused.
final class PendingConnection {
  private unowned let worker: Worker
  private let admission: Admission
  /// The client; nil if the connection itself tells its address.
  private var knownClient: Client?
  /// Whether a PROXY protocol header comes first, and what follows it.
  private var preface: Preface
  private var connection: Connection?
  private var deadline: Timer?
  /// When the decision about the connection is due.
  private var due = MonotonicTime(nanoseconds: 0)
  /// The part of the head that has arrived.
  private var head: [UInt8] = []
  private(set) var isAnswered = false
  /// Whether the request is a HEAD request.
  private var isHEAD = false
  /// Whether it takes one of `limits.connections`. A refused connection that only waits for its end does not.
  private var isCounted: Bool
  private var waiting: Waiting?
  /// The header fields that let a page of another origin read the answer; empty for handshakes, whose refusals no page can
  /// read.
  private var crossOrigin: [HeaderField] = []
  /// The target of the request, once it was read.
  private var target: [UInt8]?

  /// The opening that waits for something. The connection keeps the bytes after its head.
  private struct Waiting {
    enum Cause {
      /// The subscription to its groups.
      case groups(GroupsOpening)
      /// The authentication of the client; the ticket of the request.
      case identity(Int)
      case upstream(UpstreamOpening)
    }

    var cause: Cause
    var opening: Opening
  }

  /// The bytes at the beginning of a connection.
  enum Preface {
    case none
    /// A PROXY protocol header.
    case proxyHeader
    /// The same, and then TLS.
    case proxyHeaderThenTLS
  }

  /// The kind of connection that a request opens on a worker.
  private enum Opening {
    case session(SessionOpening)
    case stream(EventStreamOpening)

    /// The credentials to check before it continues, and the route's requirements.
    var question: (Credentials, RouteAuth)? {
      let (credentials, auth) =
        switch self {
        case .session(let session): (session.credentials, session.route.configuration.auth)
        case .stream(let stream): (stream.credentials, stream.route.auth)
        }
      guard let credentials, let auth else { return nil }
      return (credentials, auth)
    }

    var routeName: String {
      switch self {
      case .session(let session): session.route.name
      case .stream(let stream): stream.route.name
      }
    }

    /// Nil until the client is authenticated, and for routes without `auth`.
    var identity: Identity? {
      switch self {
      case .session(let session): session.identity
      case .stream(let stream): stream.identity
      }
    }

    func identified(_ outcome: Authentication) -> Result<Opening, HandshakeRefusal> {
      switch self {
      case .session(let session): session.identified(outcome).map(Opening.session)
      case .stream(let stream): stream.identified(outcome).map(Opening.stream)
      }
    }
  }

  /// How long the last bytes of a refusal may take to arrive.
  private static let lingering = Duration.seconds(2)

  init(worker: Worker, admission: Admission, client: Client? = nil, preface: Preface = .none) {
    self.worker = worker
    self.admission = admission
    self.preface = preface
    knownClient = client
    isCounted = admission.isServed
  }

  /// Whether no limit counts it: see `ExtraConnections`.
  var isExtra: Bool { !isCounted }

  /// The route whose opening waits for something, and the target of its request; nil before the head is read.
  var request: (route: String, target: [UInt8])? {
    guard let target, let route = waiting?.opening.routeName else { return nil }
    return (route, target)
  }

  /// Nil before the start.
  private var client: Client? { knownClient ?? connection.map { Client(peer: $0.peer, isSecure: false) } }

  /// Starts to read.
  ///
  /// - Parameter due: when the decision about the connection is due; nil for the time of `limits.handshake`.
  func start(on descriptor: consuming Descriptor, due: MonotonicTime? = nil) {
    connection = worker.reactor.adopt(descriptor, handler: self)
    connection?.readInOwnTurn()
    let deadline = worker.reactor.timer { [unowned self] in timeOut() }
    let patience = worker.gateway.server.handshake
    self.due = due ?? worker.reactor.now + (admission.isServed ? patience : min(patience, Self.lingering))
    deadline.schedule(at: self.due)
    self.deadline = deadline
    if isWithoutHeader { judgeProxy() }
    // Other extra connections of the same turn may take its place before it is read.
    if !admission.isServed { connection?.readNow() }
  }

  /// Another connection takes its place.
  func giveWay() {
    refuse(admission.refusal, target: nil)
  }

  /// Handles the head that the HTTP service had read already.
  func received(head bytes: [UInt8]) {
    connection?.putBack(bytes)
  }

  func abandon() {
    connection?.abort()
  }

  private func timeOut() {
    switch waiting?.cause {
    case .groups: stopWaiting(.layerUnavailable)
    case .identity: stopWaiting(.identityUnavailable)
    case .upstream: stopWaiting(.upstreamTimeout)
    case nil:
      refuse(admission.isServed ? HandshakeRefusal(.timeout) : admission.refusal, target: nil)
    }
  }
}

extension PendingConnection: ConnectionHandler {
  func received(_ bytes: inout MutableRawSpan) {
    guard !isAnswered else { return }
    // A head may take long, depending on the captures of its route. The time runs from here.
    _ = worker.reactor.hasTimeLeft()
    guard head.isEmpty else {
      head.append(copying: bytes.bytes)
      let whole = head
      return unsafe read(whole.span.bytes)
    }
    read(bytes.bytes)
  }

  private func read(_ bytes: RawSpan) {
    if isWithoutHeader { readProxyHeader(bytes) } else { readHead(bytes) }
  }

  private func readHead(_ bytes: RawSpan) {
    if Self.isTLS(bytes) { return refuseTLS() }
    isHEAD = unsafe bytes.withUnsafeBytes { unsafe $0.starts(with: "HEAD ".utf8) }
    switch RequestHead.parse(bytes) {
    case .incomplete:
      if head.isEmpty { head = [UInt8](copying: bytes) }
    case .malformed(let refusal):
      refuse(refusal, target: nil)
    case .complete(let request, let length):
      guard let client else { return }
      let place = httpPlace(of: request)
      if let answer = healthAnswer(to: request, at: place) { return answerHealth(with: answer) }
      guard admission.isServed else { return refuse(admission.refusal, target: request.target) }
      switch decide(request, at: place, from: client) {
      case .success(let opening):
        target = request.target
        // For the next handler of the connection.
        connection?.leave(last: bytes.byteCount - length)
        open(opening)
      case .failure(let refusal): refuse(refusal, target: request.target, facts(of: request, refusal))
      case nil: handToHTTP([UInt8](copying: bytes))
      }
    }
  }

  /// The first bytes of a TLS record of the type handshake (RFC 8446 section 5.1).
  private static let tlsHandshake: [UInt8] = [0x16, 0x03]

  private static func isTLS(_ bytes: RawSpan) -> Bool {
    unsafe bytes.withUnsafeBytes { unsafe $0.starts(with: tlsHandshake) }
  }

  private func refuseTLS() {
    refuse(
      HandshakeRefusal(
        .speaksTLS,
        detail: "use http:// or ws:// for this address, or https:// or wss:// for one of server.tls"),
      target: nil)
  }

  /// What the log says of a refused request besides the reason: of an origin what it was compared with.
  private func facts(of request: RequestHead, _ refusal: HandshakeRefusal) -> [String: String] {
    guard [.originNotAllowed, .originMissing].contains(refusal.reason) else { return [:] }
    let host = request.fields.values(of: "host").first ?? ""
    let origin = request.fields.values(of: "origin").first
    return OriginPolicy.facts(origin: origin, host: client?.host(host) ?? host)
  }

  /// Nil for a request that is for the HTTP side.
  private func decide(
    _ request: RequestHead, at place: HTTPPlace?, from direct: Client
  ) -> Result<Opening, HandshakeRefusal>? {
    let stream = place.flatMap { place in
      worker.gateway.eventRoute(method: request.method, at: place).map { (route: $0, place: place) }
    }
    // The HTTP side asks for each request of a connection who its client is.
    guard request.wantsWebSocket || stream != nil else { return nil }
    let (client, refusal) = worker.gateway.client(of: request.fields, behind: direct, isHandshake: true)
    knownClient = client
    if let refusal { return .failure(refusal) }
    guard let stream else {
      return worker.decide(request, admission, from: client).map(Opening.session)
    }
    return worker.decide(stream: request, of: stream.route, at: stream.place, admission, from: client)
      .map(Opening.stream)
  }

  func peerFinished() {
    connection?.abort()
  }

  func drained() {}

  func closed(_ reason: ConnectionEnd) {
    deadline?.cancel()
    forgetWaiting()
    stopCounting()
    worker.pendingEnded(self)
  }
}

// MARK: - What becomes of it

extension PendingConnection {
  /// Makes sure that there is something to talk to before the client is told that it is accepted: the group's events (as
  /// Channels' consumers do, which join in `connect`), or the upstream.
  private func open(_ opening: Opening) {
    if case .stream(let stream) = opening { crossOrigin = stream.crossOrigin }
    if let (credentials, auth) = opening.question {
      let ticket = worker.authenticate(credentials, by: auth) { [weak self] outcome in
        self?.identified(outcome)
      }
      return wait(for: .identity(ticket), opening)
    }
    let groups: [String]
    let layer: (any ChannelLayer)?
    switch opening {
    case .session(let session): (groups, layer) = (session.groups, worker.layer(of: session.route))
    case .stream(let stream): (groups, layer) = (stream.groups, worker.layer(of: stream.route))
    }
    if case .session(let session) = opening, let request = session.upstream {
      let upstream = UpstreamOpening(
        request.handshake, to: request.configuration, for: (session.route.name, target), worker: worker
      ) { [weak self] outcome in self?.upstreamAnswered(outcome) }
      wait(for: .upstream(upstream), opening)
      return upstream.start()
    }
    guard !groups.isEmpty, let layer else {
      return accept(opening)
    }
    let opened = GroupsOpening(groups, of: layer)
    var answer: Subscription?
    var isWaiting = false
    opened.start { [weak self] outcome in
      if isWaiting { self?.subscribed(outcome) } else { answer = outcome }
    }
    switch answer {
    case .active: accept(opening, in: opened)
    case .unavailable: refuse(HandshakeRefusal(.layerUnavailable), target: nil)
    case nil:
      isWaiting = true
      wait(for: .groups(opened), opening)
    }
  }

  /// Pauses reading until the wait is over.
  private func wait(for cause: Waiting.Cause, _ opening: Opening) {
    waiting = Waiting(cause: cause, opening: opening)
    isAnswered = true
    connection?.pauseReading()
  }

  /// The wait is over.
  private func resume() -> Waiting? {
    guard let waiting else { return nil }
    self.waiting = nil
    isAnswered = false
    connection?.resumeReading()
    return waiting
  }

  private func identified(_ outcome: Authentication) {
    guard let waiting = resume() else { return }
    switch waiting.opening.identified(outcome) {
    case .success(let opening): open(opening)
    case .failure(let refusal): refuse(refusal, target: nil)
    }
  }

  private func subscribed(_ outcome: Subscription) {
    guard let waiting = resume(), case .groups(let groups) = waiting.cause else { return }
    guard outcome == .active else { return refuse(HandshakeRefusal(.layerUnavailable), target: nil) }
    accept(waiting.opening, in: groups)
  }

  private func upstreamAnswered(_ outcome: Result<UpstreamOpening.Opened, HandshakeRefusal>) {
    guard let waiting = resume() else { return }
    switch outcome {
    case .success(let upstream): accept(waiting.opening, through: upstream)
    case .failure(let refusal): refuse(refusal, target: nil)
    }
  }

  /// Ends a connection that is not a session yet, with an answer if its request has begun.
  func stop() {
    // Bytes of its request may wait for their turn.
    if waiting == nil, !isAnswered, head.isEmpty { connection?.readNow() }
    if waiting != nil {
      stopWaiting(.stopping)
    } else if isAnswered {
      // The connection was refused, and the answer is on its way.
    } else if head.isEmpty {
      // Browsers open connections ahead of need. An answer without a request would be taken for that of the next one.
      connection?.abort()
    } else {
      refuse(HandshakeRefusal(.stopping), target: nil)
    }
  }

  /// Refuses a client whose opening still waits.
  private func stopWaiting(_ reason: HandshakeRefusal.Reason) {
    guard waiting != nil else { return }
    forgetWaiting()
    isAnswered = false
    connection?.resumeReading()
    refuse(HandshakeRefusal(reason), target: nil)
  }

  /// Refuses a client of this user whose opening still waits for its group or its upstream.
  ///
  /// - Returns: whether it was such a client.
  func disconnect(user: String) -> Bool {
    guard let identity = waiting?.opening.identity, ExactText(text: identity.user) == ExactText(text: user)
    else { return false }
    stopWaiting(HandshakeRefusal(.disconnected).reason)
    return true
  }

  private func forgetWaiting() {
    switch waiting?.cause {
    case .groups(let groups): groups.abandon()
    case .identity(let ticket): worker.identities.forget(ticket)
    case .upstream(let upstream): upstream.abandon()
    case nil: break
    }
    waiting = nil
  }

  private func accept(
    _ opening: Opening, in groups: GroupsOpening? = nil, through upstream: UpstreamOpening.Opened? = nil
  ) {
    guard let connection else { return }
    isAnswered = true
    deadline?.cancel()
    switch opening {
    case .session(let opening):
      beginSession(opening, on: connection, in: groups, through: upstream)
    case .stream(let opening):
      beginStream(opening, on: connection, in: groups)
    }
    worker.pendingEnded(self)
  }

  /// Answers 200, and turns the connection into an event stream.
  private func beginStream(
    _ opening: EventStreamOpening, on connection: Connection, in groups: GroupsOpening?
  ) {
    let stream = EventStream(connection: connection, opening: opening, worker: worker)
    connection.handler = stream
    stream.place = client?.place
    stream.record = worker.record(
      of: client, route: opening.route.name, target: target, user: opening.identity?.user)
    if let groups { stream.join(groups, from: opening.start) }
    worker.sessionOpened(stream, wait: opening.route.wait)
    unsafe connection.write(opening.response.span.bytes)
    stream.goOnReplaying()
    stream.begin()
  }

  /// Answers 101, and turns the connection into a session. The bytes after the request head are its first frames.
  private func beginSession(
    _ opening: SessionOpening, on connection: Connection, in groups: GroupsOpening?,
    through upstream: UpstreamOpening.Opened?
  ) {
    let compression = worker.compression.agree(on: opening.handshake.extensions, for: opening.route)
    let session = Session(
      connection: connection, route: opening.route, compression: compression?.compression, worker: worker)
    connection.handler = session
    session.place = client?.place
    session.record = worker.record(
      of: client, route: opening.route.name, target: target, user: opening.identity?.user)
    if upstream == nil { noteSubprotocols(opening) }
    session.know(opening)
    if let groups { session.join(groups, opening.history) }
    worker.sessionOpened(session, wait: opening.route.wait)
    let answer = opening.response(compression: compression?.agreement, through: upstream)
    unsafe connection.write(answer.span.bytes)
    if opening.route.configuration.auth != nil {
      session.beginToken(opening, target: target, peer: client?.peer ?? connection.peer)
    }
    session.goOnReplaying()
    if let upstream { session.connect(to: upstream.connection, rest: upstream.rest) }
  }

  private func noteSubprotocols(_ opening: SessionOpening) {
    let all = opening.handshake.subprotocols
    let offered = all.filter { !$0.hasPrefix(Credentials.subprotocolMark) }
    let known = opening.route.configuration.subprotocols
    guard !all.isEmpty, opening.handshake.chooseSubprotocol(from: known) == nil, let client else { return }
    guard !offered.isEmpty else {
      // A route with `auth` answers with the subprotocol that contains the token.
      guard opening.route.configuration.auth == nil else { return }
      return worker.refusals.tokenWithoutAuth(
        target: target, route: opening.route.name, peer: client.peer)
    }
    worker.refusals.noSubprotocol(
      offered: offered, known: known, route: opening.route.name, peer: client.peer)
  }

  private func handToHTTP(_ bytes: [UInt8]) {
    isAnswered = true
    deadline?.cancel()
    guard let client, let descriptor = connection?.detach() else { return }
    worker.http.serve(HandedOverConnection(descriptor: descriptor.take(), bytes: bytes, client: client))
    worker.pendingEnded(self)
  }

  /// The answer where this is a health check that nothing is to follow: a probe does not wait for the HTTP side, which may have much
  /// to do. Of a connection beyond the limit nothing may follow in any case.
  private func healthAnswer(to request: RequestHead, at place: HTTPPlace?) -> [UInt8]? {
    guard let place, mayEndHere(request) else { return nil }
    return worker.gateway.healthAnswer(to: request, at: place)
  }

  private func mayEndHere(_ request: RequestHead) -> Bool { !admission.isServed || request.isLast }

  /// Where a request without an upgrade leads, found once for all who ask; nil where nobody does.
  private func httpPlace(of request: RequestHead) -> HTTPPlace? {
    guard !request.wantsWebSocket, mayEndHere(request) || worker.gateway.hasEventRoutes else { return nil }
    return worker.gateway.httpPlace(of: request.target)
  }

  private func answerHealth(with answer: [UInt8]) {
    isAnswered = true
    deadline?.cancel()
    stopCounting()
    finish(with: answer)
  }

  /// Sends the answer and closes the connection, which is not counted any more.
  private func finish(with answer: [UInt8]) {
    guard let connection else { return }
    let bytes = SharedBytes(capacity: answer.count)
    unsafe bytes.append(answer.span.bytes)
    // At once, because the connection may have to be closed before the turn is over.
    connection.write(bytes, from: 0)
    connection.finish(timeout: Self.lingering)
    worker.answered(self)
  }

  private func stopCounting() {
    knownClient?.place = nil
    guard isCounted else { return }
    isCounted = false
    worker.gateway.counters.connections.down()
  }

  private func refuse(
    _ refusal: HandshakeRefusal, target: [UInt8]?, _ facts: [String: String] = [:]
  ) {
    guard !isAnswered, let client else { return }
    var refusal = refusal
    if refusal.crossOrigin.isEmpty { refusal.crossOrigin = crossOrigin }
    isAnswered = true
    deadline?.cancel()
    stopCounting()
    worker.refusals.record(refusal, target: target ?? self.target, peer: client.peer, facts)
    if case .proxyHeaderThenTLS = preface {
      // The client could not understand an answer.
      connection?.abort()
      return
    }
    finish(with: refusal.response(date: HTTPDate.now, isToHEAD: isHEAD))
  }
}

// MARK: - The PROXY protocol

extension PendingConnection {
  /// Decides, before a byte is read, whether the connection's peer may send a PROXY protocol header. Whoever may not would take
  /// places without being counted by saying nothing.
  ///
  /// With `trusted_proxies`, the connection of any other peer is refused here. Without the list every peer may send a header, and
  /// the peer is counted in `limits.per_ip` until its header is complete. The header mostly arrives with the connection, so the
  /// peer is counted only if it is still missing after the connection's first turn: a load balancer opens many connections at once.
  private func judgeProxy() {
    guard let connection else { return }
    let trusted = worker.gateway.server.trustedProxies
    if trusted.isEmpty {
      connection.askForTurn()
    } else if !trusted.contains(connection.peer) {
      refuseHeader("the connection is not from one of server.trusted_proxies")
    }
  }

  /// The connection's first turn, if every peer may send a PROXY protocol header.
  func goOn() {
    if !isAnswered { connection?.readNow() }
    guard !isAnswered, isWithoutHeader, admission.isServed, let connection, !connection.isClosed else {
      return
    }
    let peer = connection.peer
    switch worker.gateway.place(for: peer, isHandshake: false) {
    case .success(let place): knownClient = Client(peer: peer, isSecure: false, place: place)
    case .failure(let refusal):
      worker.gateway.addressRefusals.record(refusal, peer: peer)
      refuse(Admission.crowded(refusal).refusal, target: nil)
    }
  }

  /// Whether the PROXY protocol header is still expected.
  private var isWithoutHeader: Bool {
    if case .none = preface { false } else { true }
  }

  /// Reads the client's address from the PROXY protocol header. The bytes after it are the client's.
  private func readProxyHeader(_ bytes: RawSpan) {
    guard let connection else { return }
    let most = min(bytes.byteCount, ProxyHeader.longestBlock)
    switch ProxyHeader.read([UInt8](copying: bytes.extracting(first: most))) {
    case .incomplete:
      if head.isEmpty { head = [UInt8](copying: bytes) }
    case .malformed(let fault):
      refuseHeader(fault)
    case .complete(let header):
      head = []
      // From here on the client is counted that the header names, which may be the proxy itself.
      knownClient?.place = nil
      proceed(
        after: header, from: connection.peer,
        rest: [UInt8](copying: bytes.extracting(droppingFirst: header.length)))
    }
  }

  private func refuseHeader(_ fault: String) {
    refuse(HandshakeRefusal(.badRequest(fault)), target: nil)
  }

  private func proceed(after header: ProxyHeader, from proxy: PeerAddress, rest: [UInt8]) {
    let peer: PeerAddress =
      switch header.client {
      case .address(let address, let port): PeerAddress(address, port: port)
      case .unix: .unix
      case nil: proxy
      }
    var client = Client(peer: peer, isSecure: header.isSecure ?? false)
    client.isBehindProxyHeader = true
    if admission.isServed {
      switch worker.gateway.place(for: peer, isClient: header.client != nil) {
      case .success(let place): client.place = place
      case .failure(let refusal):
        knownClient = client
        worker.gateway.addressRefusals.record(refusal, peer: peer)
        return refuse(Admission.crowded(refusal).refusal, target: nil)
      }
    }
    guard case .proxyHeaderThenTLS = preface else {
      preface = .none
      knownClient = client
      return unsafe readHead(rest.span.bytes)
    }
    goOnInTLS(client, rest)
  }

  /// Hands the connection over to the TLS service. Another `PendingConnection` reads the decrypted bytes.
  private func goOnInTLS(_ client: Client, _ rest: [UInt8]) {
    isAnswered = true
    deadline?.cancel()
    guard let descriptor = connection?.detach() else { return }
    var client = client
    client.isSecure = true
    worker.goOnInTLS(descriptor, client, admission, rest, due: due)
    worker.pendingEnded(self)
  }
}
