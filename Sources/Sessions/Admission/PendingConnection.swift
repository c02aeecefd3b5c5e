import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import Routing
import Transport
import WebSocketCore

/// A connection whose request head is still being read, before it becomes a session or an HTTP connection, or is refused.
///
/// Its `Admission` says what is to be done; this object does it, and reports what came of it.
package final class PendingConnection {
  /// Unowned: the worker lives while its reactor runs, and nothing uses it afterwards.
  unowned let worker: WorkerSessions
  private var admission: Admission
  /// Who has connected, or whom the PROXY protocol header or the fields of a trusted proxy name.
  var client: Client
  /// Whether a PROXY protocol header comes first, and what follows it.
  var preface: Preface
  private(set) var connection: Connection?
  private var deadline: Timer?
  /// When the decision about the connection is due.
  private(set) var due = MonotonicTime(nanoseconds: 0)
  /// The part of the head that has arrived.
  var head: [UInt8] = []
  /// The request, if it is a plain one.
  private var plain: FirstRequest?
  /// Whether the request is a HEAD request.
  private var isHEAD = false
  /// Whether it takes one of `limits.connections`. A refused connection that only waits for its end does not.
  private var isCounted: Bool
  /// The step of the admission that is under way, or that the client's acceptance needs.
  private var work = Work.none
  /// While a step is under way, the connection keeps the bytes after its head.
  private var isPaused = false
  /// The target of the request, once it was read.
  private(set) var target: [UInt8]?
  /// What the log says of a refused request besides the reason.
  private var facts: [String: String] = [:]
  /// Once the client was refused with a close frame.
  private var closing: ClosingHandshake?

  private enum Work {
    case none
    /// The authentication of the client; the ticket of the request.
    case identity(Int)
    case upstream(UpstreamOpening)
    case reached(UpstreamOpening.Opened)
    /// The subscription to its groups.
    case groups(GroupsOpening)
    /// Its view is asked about the session, which is in its groups.
    case view(Session)
  }

  /// The bytes at the beginning of a connection.
  package enum Preface {
    case none
    /// A PROXY protocol header.
    case proxyHeader
    /// The same, and then TLS.
    case proxyHeaderThenTLS
  }

  init(_ worker: WorkerSessions, allowance: Allowance, client: Client, preface: Preface) {
    self.worker = worker
    admission = Admission(allowance) { [orders = worker.process.orders] user, groups in
      orders.order(.disconnect, for: user, in: groups)
    }
    self.preface = preface
    self.client = client
    isCounted = allowance.isServed
  }

  var allowance: Allowance { admission.allowance }

  /// Whether the head was read, and something was made of it.
  package var isAnswered: Bool { !admission.isReading }

  /// Whether no limit counts it: see `ExtraConnections`.
  package var isExtra: Bool { !isCounted }

  /// The route whose opening waits for something, and the target of its request; nil before the head is read.
  var request: (route: String, target: [UInt8])? {
    guard let target, let route = admission.waiting?.route.name else { return nil }
    return (route, target)
  }

  /// Starts to read.
  ///
  /// - Parameters:
  ///   - due: when the decision about the connection is due; nil for the time of `limits.handshake`.
  ///   - tls: begins TLS, whose first bytes are `first`.
  ///   - isRelayed: whether the client is behind a relay of this process.
  func start(
    on descriptor: consuming Descriptor, due: MonotonicTime? = nil, tls: TLSContext? = nil,
    first: [UInt8] = [], isRelayed: Bool = false
  ) {
    connection = worker.reactor.adopt(descriptor, handler: self, tls: tls, first: first)
    connection?.isRelayed = isRelayed
    connection?.readInOwnTurn()
    let patience = worker.served.server.handshake
    setDeadline(
      due ?? worker.reactor.now + (allowance.isServed ? patience : min(patience, Farewell.lingering)))
    if isWithoutHeader { judgeProxy() }
    // Other extra connections of the same turn may take its place before it is read.
    if !allowance.isServed { connection?.readNow() }
  }

  /// Starts with a request of an open connection, whose handler is being given the bytes.
  ///
  /// - Parameter bytes: begin with the whole head.
  func start(on connection: Connection, reading bytes: RawSpan) {
    connection.handler = self
    self.connection = connection
    setDeadline(worker.reactor.now + worker.served.server.handshake)
    readHead(bytes)
  }

  private func setDeadline(_ due: MonotonicTime) {
    self.due = due
    // Unowned: whatever becomes of the connection cancels it.
    let deadline = worker.reactor.timer { [unowned self] in handle(.timedOut) }
    deadline.schedule(at: due)
    self.deadline = deadline
  }

  /// Another connection takes its place.
  package func giveWay() {
    refuse(allowance.refusal)
  }

  /// Handles the head that the HTTP service had read already.
  package func received(head bytes: [UInt8]) {
    connection?.putBack(bytes)
  }

  /// Ends a connection that is not a session yet, with an answer if its request has begun.
  package func stop() {
    // Bytes of its request may wait for their turn, also in TLS.
    if admission.isReading, head.isEmpty { connection?.readNow() }
    closing?.stop()
    // Browsers open connections ahead of need. An answer without a request would be taken for that of the next one.
    let hasBegun = !admission.isReading || !head.isEmpty || connection?.keepsUnread == true
    handle(.stopped(hasBegun: hasBegun, retry: worker.stopRetry ?? worker.owner?.boundRetry ?? .zero))
  }

  /// Ends a connection whose client has asked for nothing. One that has begun TLS goes on with that.
  func closeIfSilent() {
    guard isSilent, let connection, connection.isEstablished || !connection.isHeard else { return }
    // Its request may wait for its turn.
    connection.readNow()
    if isSilent { handle(.stopped(hasBegun: false, retry: .zero)) }
  }

  /// Whether nothing of a request is known.
  private var isSilent: Bool { admission.isReading && head.isEmpty && connection?.hasUnread != true }

  /// Refuses a client that is on its way into a session that could not be handed over. Whoever has not asked for one yet is refused when
  /// it does.
  package func stopIfBound() {
    guard let route = admission.waiting?.route, connection?.isBound == true || route.isBound else { return }
    stop()
  }

  /// Refuses a client whose opening still waits for its groups or its upstream, if the target includes it.
  ///
  /// - Returns: whether it was such a client.
  func disconnect(_ target: SessionTarget) -> Bool {
    handle(.disconnected(target))
  }

  package func abandon() {
    connection?.abort()
  }
}

// MARK: - The request head

extension PendingConnection: ConnectionHandler {
  func received(_ bytes: inout MutableRawSpan) {
    if let closing { closing.received(&bytes) }
    if case .view = work {
      // Whoever speaks before it is let in is heard when it is.
      connection?.leave(last: bytes.byteCount)
      return pauseReading()
    }
    guard admission.isReading else { return }
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

  func readHead(_ bytes: RawSpan) {
    if bytes.begins(with: Self.tlsHandshake) {
      let hint = "use http:// or ws:// for this address, or https:// or wss:// for one of server.tls"
      return refuse(HandshakeRefusal(.speaksTLS, detail: hint))
    }
    isHEAD = bytes.begins(with: "HEAD ")
    switch RequestHead.parse(bytes) {
    case .incomplete:
      if head.isEmpty { head = [UInt8](copying: bytes) }
    case .malformed(let fault): refuse(HandshakeRefusal(Refusal(fault)))
    case .complete(let request, let length):
      target = request.target
      let place = request.fields.wantWebSocket ? nil : worker.served.httpPlace(of: request.target)
      let decided = decide(request, at: place, from: client)
      switch decided {
      // For the next handler of the connection, or for what is done while it is closed.
      case .opening: connection?.leave(last: bytes.byteCount - length)
      case .refused(let refusal) where refusal.handshake != nil:
        connection?.leave(last: bytes.byteCount - length)
      case .http:
        plain = FirstRequest(
          head: request, place: place, routes: worker.served, bytes: [UInt8](copying: bytes), length: length)
      case .refused, .health: break
      }
      handle(.head(decided))
    }
  }

  /// The first bytes of a TLS record of the type handshake (RFC 8446 section 5.1).
  private static let tlsHandshake: StaticString = "\u{16}\u{03}"

  private func decide(
    _ request: RequestHead, at place: HTTPPlace?, from direct: Client
  ) -> Admission.Head {
    if let answer = healthAnswer(to: request, at: place) { return .health(answer: answer) }
    let limit = allowance.isServed ? nil : allowance.refusal
    guard let destination = worker.served.destination(of: request, at: place) else {
      return limit.map(Admission.Head.refused) ?? .http
    }
    // Whoever serves plain requests asks for each of them who its client is.
    let (client, refusal) = worker.process.client(
      of: request.fields, behind: direct, isHandshake: true, isCounted: limit == nil)
    self.client = client
    // It is refused, and must not take a place meanwhile.
    if refusal != nil { stopCounting() }
    let check = HeadCheck(
      served: worker.served, request: request, client: client, allowance: allowance,
      stopRetry: worker.retry(isBound: connection?.isBound == true),
      boundRetry: worker.retry(isBound: true), rate: worker.process.handshakes, limit: limit ?? refusal)
    do throws(HandshakeRefusal) {
      return .opening(try check.opening(to: destination))
    } catch {
      facts = check.facts(of: error)
      return .refused(error)
    }
  }

  /// The answer where this is a health check that nothing is to follow. Its connection takes nobody's place while it waits for its
  /// end, and of one beyond the limit nothing may follow in any case.
  private func healthAnswer(to request: RequestHead, at place: HTTPPlace?) -> [UInt8]? {
    guard let place, !allowance.isServed || request.isLast, request.method == "GET" || isHEAD,
      !request.hasBody,
      case .health(let probe) = worker.served.application.httpRoutes[place.match.route].action
    else { return nil }
    return worker.process.healthAnswer(probe).bytes(.close, isToHEAD: isHEAD, date: worker.date)
  }

  func peerFinished() {
    connection?.abort()
  }

  func drained() {}

  func closed(_ reason: ConnectionEnd) {
    deadline?.cancel()
    closing?.cancel()
    cancelWork()
    stopCounting()
    if let connection, !connection.isEstablished {
      worker.process.tlsFailures.record(connection, closed: reason, of: client.peer)
    }
    worker.pendingEnded(self)
  }
}

// MARK: - The steps of the admission

extension PendingConnection {
  /// Takes the step that the event leads to.
  ///
  /// - Returns: false if it leads to none.
  @discardableResult
  private func handle(_ event: Admission.Event) -> Bool {
    guard var step = admission.next(event) else { return false }
    if let foreseen = worker.foreseen { step = admission.judge(step, foreseen.refusal) }
    resumeReading()
    switch step {
    case .ask(let credentials, let auth): ask(credentials, auth)
    case .subscribe(let groups, let layer): subscribe(to: groups, of: worker.layers[layer].layer)
    case .dial(let request, let route): dial(request, of: route)
    case .askView(let opening): askView(opening)
    case .accept(let opening): accept(opening)
    case .refuse(let refusal): sendRefusal(refusal)
    case .handToHTTP: handToHTTP()
    case .answer(let answer): answerHealth(with: answer)
    case .abort: connection?.abort()
    }
    return true
  }

  /// Refuses a connection before there is a request to decide about.
  func refuse(_ refusal: HandshakeRefusal) {
    handle(.head(.refused(refusal)))
  }

  private func ask(_ credentials: Credentials, _ auth: RouteAuthenticator) {
    let users = worker.process.users
    let ticket = worker.authenticate(by: { await auth.authenticate(credentials, counting: users) }) {
      [weak self] outcome in
      self?.work = .none
      self?.handle(.identified(outcome))
    }
    work = .identity(ticket)
    pauseReading()
  }

  private func dial(_ request: SessionOpening.UpstreamRequest, of route: String) {
    let upstream = UpstreamOpening(
      request.handshake, to: request.configuration, for: (route, target, client.peer), worker: worker
    ) { [weak self] outcome in self?.dialled(outcome) }
    work = .upstream(upstream)
    pauseReading()
    upstream.start()
  }

  private func dialled(_ outcome: Result<UpstreamOpening.Opened, HandshakeRefusal>) {
    switch outcome {
    case .success(let opened):
      work = .reached(opened)
      handle(.dialled(.success(())))
    case .failure(let refusal):
      work = .none
      handle(.dialled(.failure(refusal)))
    }
  }

  private func subscribe(to groups: [String], of layer: any ChannelLayer) {
    let groups = GroupsOpening(groups, of: layer)
    work = .groups(groups)
    groups.start { [weak self] outcome in self?.handle(.subscribed(outcome)) }
    // Most layers have answered by now, and what comes next listens to the client or does not.
    if admission.isSubscribing { pauseReading() }
  }

  /// Makes the session before its view is asked, so that it misses nothing. The client is listened to meanwhile: who goes away is not
  /// waited for.
  private func askView(_ opening: Opening) {
    guard let connection, case .session(let answer) = opening.kind else { return }
    var groups: GroupsOpening?
    if case .groups(let subscribed) = work { groups = subscribed }
    let session = openingSession(answer, opening, on: connection)
    work = .view(session)
    session.meetView(opening, in: groups, within: due.since(worker.reactor.now)) { [weak self] outcome in
      guard let self, handle(.viewed(outcome)) else { return false }
      return session.state == .open
    }
  }

  private func accept(_ session: Session, _ opening: Opening, on connection: Connection) {
    work = .none
    beginSession(session, opening, on: connection)
    worker.pendingEnded(self)
  }

  private func pauseReading() {
    isPaused = true
    connection?.pauseReading()
  }

  private func resumeReading() {
    guard isPaused else { return }
    isPaused = false
    connection?.resumeReading()
  }

  private func cancelWork() {
    let last = work
    work = .none
    switch last {
    case .groups(let groups): groups.abandon()
    case .identity(let ticket): worker.identities.forget(ticket)
    case .upstream(let upstream): upstream.abandon()
    case .reached(let upstream): upstream.connection.abort()
    case .view(let session): session.abandonOpening()
    case .none: break
    }
  }

  private func accept(_ opening: Opening) {
    guard let connection else { return }
    deadline?.cancel()
    var groups: GroupsOpening?
    var upstream: UpstreamOpening.Opened?
    switch work {
    case .groups(let subscribed): groups = subscribed
    case .reached(let opened): upstream = opened
    case .view(let session): return accept(session, opening, on: connection)
    case .none, .identity, .upstream: break
    }
    work = .none
    switch opening.kind {
    case .session(let session):
      beginSession(session, opening, of: admission, on: connection, in: groups, through: upstream)
    case .stream(let stream): beginStream(stream, opening, on: connection, in: groups)
    }
    worker.pendingEnded(self)
  }

  private func handToHTTP() {
    deadline?.cancel()
    guard let connection, let plain else { return }
    worker.owner?.serveHTTP(plain, on: connection, of: client)
    worker.pendingEnded(self)
  }

  private func answerHealth(with answer: [UInt8]) {
    deadline?.cancel()
    stopCounting()
    finish(with: SharedBytes(answer))
  }

  private func sendRefusal(_ refusal: HandshakeRefusal) {
    if case .upstream(let upstream) = work, refusal.reason == .upstreamTimeout { upstream.timedOut() }
    cancelWork()
    deadline?.cancel()
    worker.refusals.record(refusal, target: target, peer: client.peer, facts)
    if let handshake = refusal.handshake { return close(handshake, for: refusal.reason.closeReason) }
    stopCounting()
    if case .proxyHeaderThenTLS = preface {
      // The client could not understand an answer.
      connection?.abort()
      return
    }
    finish(with: SharedBytes(refusal.response(date: worker.date, isToHEAD: isHEAD)))
  }

  /// Accepts the handshake, and tells the client in a close frame why it is refused. The connection counts until it is closed, like a
  /// session.
  private func close(_ handshake: Handshake, for reason: CloseReason) {
    let answer = SharedBytes(handshake.refusalResponse)
    let payload = ClosePayload.encode(reason.code, reason: reason.text)
    answer.appendFrame(.close, payload.rawBytes)
    // One beyond the limits gets no time for its own close frame.
    guard isCounted, let connection else { return finish(with: answer) }
    connection.write(answer, from: 0)
    closing = ClosingHandshake(connection)
  }

  /// Sends the answer and closes the connection, which is not counted any more.
  private func finish(with answer: SharedBytes) {
    // At once, because the connection may have to be closed before the turn is over.
    connection?.write(answer, from: 0)
    connection?.finish(timeout: Farewell.lingering)
    worker.owner?.answered(self)
  }

  private func stopCounting() {
    client.place = nil
    guard isCounted else { return }
    isCounted = false
    worker.process.counters.connections.down()
  }

  /// Takes the connection out of this object, once TLS is to begin on it.
  func handOver() -> Descriptor? {
    admission.end()
    deadline?.cancel()
    return connection?.detach()
  }
}

extension SharedBytes {
  fileprivate convenience init(_ bytes: [UInt8]) {
    self.init(capacity: bytes.count)
    append(bytes.rawBytes)
  }
}
