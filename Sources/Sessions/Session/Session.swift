import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import JSON
import Routing
import Transport
import WebSocketCore

/// One connected WebSocket client: the frames of its connection, and the route's consumer behind them.
///
/// Confined to its worker's reactor, as the compiler checks: it is not `Sendable`. While nothing happens it is this
/// object and its connection; it owns no buffer, no task and no timer.
final class Session: LiveSession {
  /// RFC 6455 section 7: who has said that it ends.
  enum State: Equatable {
    /// Its view is asked whether the client may come in. The connection belongs to somebody else, and nothing is sent.
    case opening
    case open
    /// A close frame was sent; messages are no longer handled, only the client's close frame is waited for.
    case closing
    /// Nothing is read or sent any more; the connection is on its way down.
    case ended
  }

  let connection: Connection
  private(set) var route: SessionRoute
  /// Unowned: the worker lives while its reactor runs, and nothing uses it afterwards.
  unowned let worker: WorkerSessions
  var decoder: MessageDecoder
  /// Where permessage-deflate was negotiated.
  private(set) var compression: SessionCompression?
  var feed = GroupFeed()
  var wayIn = WayIn.unknown
  var keepAlive: KeepAlive?
  private var silence = PeerSilence()
  private(set) var closeDeadline: Timer?
  /// The other half of a session on a `proxy` route, while both live.
  private(set) var upstream: UpstreamSession?
  /// The reactor's end of the channel layer with the groups, which each message needs.
  let layer: (any ChannelLayer)?
  /// Whether one message may cost much more than its bytes: all that are not just sent back as they are.
  private var isMetered: Bool
  /// Whether a message may be for the gateway itself, or may not be sent.
  private var hasControls: Bool
  /// While the client has begun something and not finished it, what that takes.
  private var unfinished: UnfinishedInput.Part?
  private(set) var state: State
  /// Where `logging.sessions` wants one.
  var record: SessionRecord? {
    didSet {
      if record != nil { isMetered = true }
      judgeNotes()
    }
  }
  /// Where the route has a view.
  var view: ViewLink?
  /// Whether what is delivered is noted, or held back.
  private var isNoted = false
  /// What it takes up of the connections that its address may have.
  var place: AddressPlace?
  /// Where the worker keeps this session.
  var index = 0

  init(
    connection: Connection, route: SessionRoute, compression: SessionCompression? = nil,
    worker: WorkerSessions, state: State = .open
  ) {
    self.state = state
    self.connection = connection
    self.route = route
    self.compression = compression
    self.worker = worker
    layer = worker.end(of: route.layer)
    isMetered = Self.isMetered(route, compression)
    hasControls = route.hasControls
    decoder = MessageDecoder(
      maximumMessage: route.configuration.limits.message.bytes, inflater: compression?.inflater)
    keepAlive = makeKeepAlive(of: route)
  }

  private func makeKeepAlive(of route: SessionRoute) -> KeepAlive? {
    route.keepAlive.map {
      KeepAlive(
        interval: $0.interval.wholeNanoseconds, timeout: $0.timeout.wholeNanoseconds,
        startedAt: worker.reactor.now.nanoseconds)
    }
  }

  private static func isMetered(_ route: SessionRoute, _ compression: SessionCompression?) -> Bool {
    compression != nil || route.hasControls || !route.consumer.isEcho
  }

  /// Adapts to whether the client is muted.
  func judgeControls() {
    hasControls = route.hasControls || feed.extras?.mutedUntil != nil
  }

  func judgeNotes() {
    isNoted = record != nil || view?.held != nil
  }

  /// The client is accepted, and the connection is this session's.
  func open() {
    if state == .opening { state = .open }
  }

  func exchange(for new: SessionRoute) {
    compression = compression.map { worker.compression.renewed($0, for: new) }
    isMetered = record != nil || Self.isMetered(new, compression)
    decoder.maximumMessage = new.configuration.limits.message.bytes
    upstream?.exchange(for: new)
    if new.keepAlive != route.keepAlive {
      keepAlive = makeKeepAlive(of: new)
      upstream?.keepAlive = keepAlive
    }
    route = new
    view?.adopt(new)
    judgeControls()
    exchangeMeter()
  }

  func take(_ captures: Captures, of new: SessionRoute) {
    view?.record.captures = captures
    if new.hasControls || new.needsCaptures { feed.makeExtras().captures = captures }
    feed.extras?.token?.awaited?.admission.exchange(for: new, captures)
  }

  /// Joins the route's groups, and their presence.
  func join(_ opening: GroupsOpening, _ history: HistoryRequest?) {
    joinGroups(opening, history)
    joinPresence()
    judgeMute()
  }

  /// All groups are seen in the same form.
  func audience(isFirst: Bool, isNumbered: Bool) -> (key: ObjectIdentifier, renderer: any EventRenderer) {
    if let compression, let renderer = isNumbered ? compression.numberedRenderer : compression.renderer {
      return (ObjectIdentifier(renderer), renderer)
    }
    if isNumbered, let renderer = route.numbered { return (ObjectIdentifier(renderer), renderer) }
    return (ObjectIdentifier(route), route.consumer)
  }

  /// Turns this session into the client's side of a proxied session.
  ///
  /// - Parameters:
  ///   - target: of the client's request, for the log.
  ///   - rest: the bytes directly after the upstream's answer.
  func connect(to connection: Connection, target: [UInt8]?, rest: [UInt8]) {
    upstream = UpstreamSession(connection, for: self, target: target, keepAlive: keepAlive)
    connection.putBack(rest)
  }

  var identity: Identity? { feed.extras?.identity }
  var membership: Membership? { feed.membership }
}

// MARK: - Bytes from the client

extension Session: ConnectionHandler {
  func received(_ bytes: inout MutableRawSpan) {
    guard state != .ended else { return }
    keepAlive?.received(at: worker.reactor.now.nanoseconds)
    // The first message counts too.
    if isMetered { _ = mayGoOn() }
    decode(&bytes)
  }

  private func decode(_ bytes: inout MutableRawSpan) {
    do throws(ProtocolViolation) {
      let done = try decoder.decode(&bytes, into: self)
      if done < bytes.byteCount { connection.leave(last: bytes.byteCount - done) }
    } catch {
      fail(error)
    }
    // What the client does not read is not answered for ever: TCP makes it wait until the queue is empty.
    if connection.queuedBytes > 0 || upstream?.isCongested == true || isHeldBack {
      connection.pauseReading()
    }
    countUnfinished()
  }

  /// Once for each read: what a client has begun is bounded over the process.
  private func countUnfinished() {
    let bytes = decoder.unfinishedBytes
    if bytes > 0 || unfinished != nil { countUnfinished(bytes) }
  }

  @inline(never)
  private func countUnfinished(_ bytes: Int) {
    unfinished = worker.unfinishedInput.count(bytes, of: self, unfinished)
    worker.unfinishedInput.relieve()
  }

  func drained() {
    if feed.replay != nil { goOnReplaying() }
    upstream?.resumeReading()
    readOn()
  }

  func goOn() {
    goOnReplaying()
  }

  /// The client is gone. What it sent before is handled like any other input.
  func brokeWhilePaused() -> RestOfInput {
    view?.isBroken = true
    // Nothing is waiting to be sent to the client any more: an upstream that was not read for it could not be sent to either.
    upstream?.resumeReading()
    readOn()
    // What comes too fast would keep the session for as long as it had to wait.
    return state == .open && !isPausing ? .kept : .dropped
  }

  /// Goes on where the decoder paused, and then with what the client has sent since, when there is nothing to wait for any more.
  func readOn() {
    guard state != .ended, !isHeldBack, connection.queuedBytes == 0, upstream?.isCongested != true else {
      return
    }
    connection.resumeReading()
  }

  /// The client closed its half without a close frame (RFC 6455 section 7.1.5: 1006 for it); nothing can be answered.
  func peerFinished() {
    guard state != .ended else { return }
    end(within: .zero)
  }

  func closed(_ reason: ConnectionEnd) {
    state = .ended
    closeDeadline?.cancel()
    closeDeadline = nil
    leaveAll()
    abandonUpstream()
    dropInput()
    endMeter()
    place = nil
    record?.ended(user: identity?.user, at: worker.reactor.now)
    record = nil
    worker.sessionEnded(self)
  }
}

// MARK: - Frames from the client

extension Session: FrameSink {
  func message(_ kind: MessageKind, _ payload: RawSpan) -> Flow {
    if let unfinished { unfinished.isDone = true }
    guard state == .open else { return .proceed }
    guard !isMetered else { return metered(kind, payload) }
    // Only an echo is not metered. It is answered here and not by its consumer: loading a route that can be exchanged takes 15
    // instructions.
    send(kind, payload)
    return state != .ended ? .proceed : .stop
  }

  // Apart from `message`, so that an echo asks only once whether there is more to it.
  @inline(never)
  private func metered(_ kind: MessageKind, _ payload: RawSpan) -> Flow {
    if hasControls, let flow = control(kind, payload) {
      if flow == .pause { return .pause }
    } else {
      route.consumer.received(kind, payload, from: self)
      if hasControls, isHeldBack {
        record?.received(payload.byteCount)
        return .pause
      }
    }
    return flow(behind: payload.byteCount)
  }

  /// A read may bring thousands of messages that each take a hundred times as long as its bytes, or are a thousand times as long
  /// unpacked: they wait, packed, for room and until the others had their turn.
  ///
  /// - Parameter bytes: of the message that was handled.
  private func flow(behind bytes: Int) -> Flow {
    record?.received(bytes)
    guard state != .ended else { return .stop }
    let mayGoOn = !isCongested && upstream?.isCongested != true && mayGoOn()
    return mayGoOn ? .proceed : .pause
  }

  func mayGoOn() -> Bool {
    worker.reactor.hasTimeLeft()
  }

  func ping(_ payload: RawSpan) -> Flow {
    guard state == .open else { return .proceed }
    write(.pong, payload)
    return .proceed
  }

  func pong(_ payload: RawSpan) -> Flow {
    .proceed
  }

  /// RFC 6455 section 5.5.1: the answer carries the code that came, and the server closes first (7.1.1).
  func close(_ code: CloseCode?, _ reason: RawSpan) -> Flow {
    record?.clientEnds(code, reason)
    view?.ends(code ?? .noStatus, reason.string)
    if state == .open { writeClose(code.map { ClosePayload.encode($0, reason: reason) } ?? []) }
    end(within: Farewell.lingering)
    return .stop
  }
}

// MARK: - To the client

extension Session: ConsumerSession {
  func send(_ kind: MessageKind, _ payload: RawSpan) {
    guard state == .open else { return }
    if let compression, send(kind, payload, with: compression) { return }
    write(kind.opcode, payload)
  }

  /// - Returns: false where it is to be sent as it is.
  private func send(_ kind: MessageKind, _ payload: RawSpan, with compression: SessionCompression) -> Bool {
    compression.deflater.deflate(payload) { write(kind.opcode, $0, isCompressed: true) }
  }

  func forward(_ kind: MessageKind, _ payload: RawSpan) {
    upstream?.send(kind, payload)
  }

  var address: String? {
    guard let membership = ownMembership ?? membership, let layer else { return nil }
    return layer.groups.address(of: membership)
  }

  func publish(_ event: Event) {
    guard let membership else { return }
    layer?.publish(event, to: membership.group, from: membership)
  }

  func publish(_ event: Event, to group: String) {
    guard let membership = feed.memberships.first(where: { $0.group == group }) else { return }
    layer?.publish(event, to: group, from: membership)
  }

  func group(where isMeant: (String) -> Bool) -> String? {
    feed.memberships.first { isMeant($0.group) }?.group
  }

  var captures: Captures { view?.record.captures ?? feed.extras?.captures ?? Captures() }

  private func write(_ opcode: Opcode, _ payload: [UInt8]) {
    unsafe write(opcode, payload.span.bytes)
  }

  // Inlined, as a message is answered by little else: an echo takes a sixth fewer instructions so.
  @inline(__always)
  private func write(_ opcode: Opcode, _ payload: RawSpan, isCompressed: Bool = false) {
    if let membership { catchUp(membership) }
    let header = FrameHeader(opcode: opcode, payloadLength: payload.byteCount, isCompressed: isCompressed)
    connection.write(head: header.bytes, length: header.count, payload)
    if record != nil { noteSent(opcode, header.count + payload.byteCount) }
  }
}

extension Session {
  // Apart from the path of a message: hardly any session has a record.
  @inline(never)
  private func noteSent(_ opcode: Opcode, _ bytes: Int) {
    if opcode == .text || opcode == .binary { record?.sent(bytes) }
  }

  /// Sends what the groups have for the client before something is written to it directly.
  ///
  /// A client can be in hundreds of groups, which are only looked at when some group got something since they were.
  private func catchUp(_ membership: Membership) {
    guard let groups = layer?.groups else { return }
    _ = groups.catchUp(membership)
    guard let extras = feed.extras, extras.caughtUpWith != groups.deliveries else { return }
    extras.caughtUpWith = groups.deliveries
    for membership in extras.others { _ = groups.catchUp(membership) }
  }
}

extension Session: GroupMember {
  var userName: String? { identity?.user }

  func deliver(_ frames: SharedBytes, from offset: Int) -> Delivery {
    // What hardly any delivery needs stands elsewhere, so that this one saves no registers for it.
    guard !isNoted else { return deliverNoted(frames, from: offset) }
    connection.write(frames, from: offset)
    return connection.queuedBytes == 0 ? .delivered : judgeQueue()
  }

  @inline(never)
  private func deliverNoted(_ frames: SharedBytes, from offset: Int) -> Delivery {
    if let held = view?.held { return held.add(frames, from: offset) ? .delivered : .queueOverLimit }
    connection.write(frames, from: offset)
    record?.sent(frames, from: offset)
    return judgeQueue()
  }

  @inline(never)
  private func judgeQueue() -> Delivery {
    connection.lateBytes > route.sendQueueLimit ? .queueOverLimit : .delivered
  }

  var ownMembership: Membership? { view?.ownMembership }

  func catchUp() {
    if let membership { catchUp(membership) }
  }

  func fellBehind() {
    if state == .opening { return turnAway(HandshakeRefusal(.heldOverLimit)) }
    guard state == .open else { return }
    worker.countSlowReader(self)
    connection.dropQueued()
    closeBehindNothing(.slowReader)
  }

  func mustGiveWay() {
    guard state == .open else { return }
    worker.countGivenWay(self)
    closeBehindNothing(.slowReader)
  }

  /// Says why the session ends to a client whose queue was given up: what its groups have ready for it in this turn would come before
  /// the close frame, and fill the queue again.
  private func closeBehindNothing(_ reason: CloseReason) {
    view?.ends(reason.code, reason.text)
    leaveAll()
    close(reason)
    end(within: Farewell.answer)
  }

  func undelivered(_ reason: Undelivered) {
    route.consumer.undelivered(reason, to: self)
  }

  func close(code: UInt16, reason: String) {
    if let held = view?.held { return held.close(code: code, reason: reason) }
    close(CloseCode(rawValue: code), text: reason)
  }
}

extension Session: InputHolder {
  func giveUpInput() {
    dropInput()
    view?.dropWaiting()
    close(.inputOverLimit)
    end(within: Farewell.lingering)
  }

  /// Lets go of what the client has begun; it is not listened to any more.
  private func dropInput() {
    decoder.abandon()
    unfinished = worker.unfinishedInput.count(0, of: self, unfinished)
  }
}

// MARK: - Its groups

extension Session: GroupClient {
  var isOpen: Bool { state == .open || state == .opening }
  var identities: WorkerIdentities { worker.identities }
  var sendQueueLimit: Int { route.sendQueueLimit }

  func replayed(_ frames: SharedBytes) {
    record?.sent(frames, from: 0)
  }
}

// MARK: - From the upstream of a proxied session

extension Session {
  /// Whether the client does not read what it was sent.
  var isCongested: Bool { connection.queuedBytes > UpstreamSession.highWater }

  /// The upstream ended the session; the client gets its code and reason.
  func upstreamClosed(_ payload: [UInt8]) {
    upstream = nil
    close(payload)
  }

  func upstreamLost(_ reason: String, target: [UInt8]?) {
    upstream = nil
    guard state == .open else { return }
    if let configuration = route.configuration.consumer.upstream {
      worker.process.upstreamFailures.record(
        configuration, of: .route(route.name), target: target,
        status: Int(CloseReason.upstreamLost.code.rawValue), reason)
    }
    close(.upstreamLost)
  }

  private func abandonUpstream() {
    upstream?.abandon()
    upstream = nil
  }
}

// MARK: - The end

extension Session {
  private static let silenceBound = KeepAliveProbes.bound.wholeNanoseconds

  func close(_ reason: CloseReason) {
    if reason.isOrder { view?.dropWaiting() }
    if state == .opening { return turnAway(reason) }
    close(reason.code, text: reason.text)
  }

  /// Starts the closing handshake (RFC 6455 section 7.1.2); the session ends when the client answers, or after the time-out.
  func close(_ code: CloseCode, text: String) {
    close(ClosePayload.encode(code, reason: text))
  }

  private func close(_ payload: [UInt8]) {
    guard state == .open else { return }
    writeClose(payload)
    leaveAll()
    endMeter()
    awaitAnswer(until: worker.reactor.now + Farewell.answer)
  }

  /// A close frame was sent: the client's is waited for.
  func awaitAnswer(until time: MonotonicTime) {
    state = .closing
    // Unowned: the end of the session cancels it.
    let deadline = worker.reactor.timer { [unowned self] in end(within: .zero) }
    deadline.schedule(at: time)
    closeDeadline = deadline
  }

  /// Says to both sides that it ends, and why.
  private func writeClose(_ payload: [UInt8]) {
    record?.ends(payload)
    view?.ends(payload)
    write(.close, payload)
    upstream?.close(payload)
    upstream = nil
  }

  /// RFC 6455 section 7.1.7: says why, and does not wait for an answer.
  private func fail(_ violation: ProtocolViolation) {
    if state == .open {
      writeClose(ClosePayload.encode(violation.closeCode, reason: violation.description))
    }
    worker.countViolation(violation, of: self)
    end(within: Farewell.lingering)
  }

  /// Sends what is queued and closes the connection.
  private func end(within time: Duration) {
    guard state != .ended else { return }
    state = .ended
    leaveAll()
    abandonUpstream()
    closeDeadline?.cancel()
    if time > .zero { connection.finish(timeout: time) } else { connection.abort() }
  }

  /// Its view hears of the end while it is known what the session was in.
  private func leaveAll() {
    view?.sessionEnds()
    leaveGroups()
    leaveAlone()
  }

  /// The client is not let in; its connection tells it why.
  private func turnAway(_ refusal: HandshakeRefusal) {
    view?.refuseOpening(refusal)
  }

  private func turnAway(_ reason: CloseReason) {
    let row: Refusal =
      reason.isOrder ? .endedByOperator.saying(reason.text) : .stopping(retry: reason.retry ?? .zero)
    turnAway(HandshakeRefusal(row))
  }

  /// It never was a session: the client is gone, or was refused.
  func abandonOpening() {
    state = .ended
    leaveAll()
  }

  /// Called by the worker's sweep a few times in each interval.
  func checkKeepAlive(at now: UInt64) {
    // A client that has sent too much and is gone would keep its place for as long as it had to wait.
    if isPausing, connection.peerReport?.hasFinished == true { return connection.abort() }
    guard state == .open else { return }
    // While the client is not read, its pongs are not either: only the system can tell whether it is still there.
    let isPaused = connection.isReadingPaused
    if isPaused { keepAlive?.received(at: now) }
    if route.hasSlowPings || isPaused,
      silence.isOver(at: now, bound: Self.silenceBound, connection.peerReport)
    {
      worker.countVanished(self)
      return connection.peerVanished()
    }
    upstream?.checkSilence(at: now, bound: Self.silenceBound)
    guard state == .open, keepAlive != nil else { return }
    upstream?.checkKeepAlive(at: now)
    guard state == .open else { return }
    switch keepAlive?.check(at: now) {
    case .sendPing: write(.ping, [])
    case .timedOut:
      worker.countPingTimeout(self)
      close(.pingTimeout)
      end(within: Farewell.lingering)
    case .nothing, nil: break
    }
  }

  /// The process is being stopped and the time for it is over.
  func abandon() {
    end(within: .zero)
    // Also where it had ended, and only the last bytes were waited for.
    connection.abort()
  }
}
