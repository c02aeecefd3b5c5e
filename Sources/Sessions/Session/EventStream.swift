import ChannelLayers
import Consumers
import GatewayConfig
import JSON
import Transport
import WebSocketCore

/// One client of an `events` route: a request whose answer does not end, and which the events of a group are written to.
///
/// Confined to its worker's reactor, like a WebSocket session. While nothing happens it is this object and its connection.
final class EventStream: LiveSession {
  /// Bytes behind the request that are passed over, such as a body that nobody asked for; a client that sends more is let go.
  private static let mostIgnored = 16 * 1024

  /// A browser that finds nobody tries again after the same time, without end.
  private static let leastRetry = Duration.seconds(1)

  let connection: Connection
  private(set) var route: EventRoute
  /// Unowned: the worker lives while its reactor runs, and nothing uses it afterwards.
  unowned let worker: WorkerSessions
  var feed = GroupFeed()
  var wayIn = WayIn.unknown
  /// When something was last written, in nanoseconds of the reactor's clock.
  var lastWrite: UInt64
  private var silence = PeerSilence()
  var ignored = 0
  private(set) var isOpen = true
  /// What it takes up of the connections that its address may have.
  var place: AddressPlace?
  /// Where `logging.sessions` wants one.
  var record: SessionRecord?
  var index = 0

  init(connection: Connection, route: EventRoute, worker: WorkerSessions) {
    self.connection = connection
    self.route = route
    self.worker = worker
    lastWrite = worker.reactor.now.nanoseconds
  }

  /// A comment, which clients pass over: it shows them and all that is between that the connection lives, and shows the
  /// system whether they do. Not behind a queue, which shows the same.
  ///
  /// A client that owes the system an answer for too long is gone; one that only does not read is not.
  func checkKeepAlive(at now: UInt64) {
    guard isOpen else { return }
    if silence.isOver(at: now, bound: route.silence, connection.peerReport) { return vanish() }
    guard now >= lastWrite + route.heartbeat, connection.queuedBytes == 0 else { return }
    lastWrite = now
    unsafe connection.write(Array(":\n\n".utf8).span.bytes)
  }
}

extension EventStream: ConnectionHandler {
  /// Passes over what the client says once it has asked.
  func received(_ bytes: inout MutableRawSpan) {
    ignored += bytes.byteCount
    if ignored > Self.mostIgnored { abandon() }
  }

  /// The client has gone: whoever reads a stream leaves both directions open.
  func peerFinished() {
    abandon()
  }

  func drained() {
    if feed.replay != nil { goOnReplaying() }
  }

  func goOn() {
    goOnReplaying()
  }

  func closed(_ reason: ConnectionEnd) {
    isOpen = false
    leaveGroups()
    place = nil
    record?.ended(user: identity?.user, at: worker.reactor.now)
    record = nil
    worker.sessionEnded(self)
  }
}

extension EventStream: GroupClient {
  var identity: Identity? { feed.extras?.identity }
  var userName: String? { identity?.user }
  var layer: (any ChannelLayer)? { worker.end(of: route.layer) }
  var identities: WorkerIdentities { worker.identities }
  var sendQueueLimit: Int { route.sendQueueLimit }

  func exchange(for new: EventRoute) {
    route = new
  }

  func isAdmitted(by origins: OriginPolicy) -> Bool { wayIn.mayRead(by: origins) }

  /// Only events of the first group have a position that the client can go on with.
  func audience(isFirst: Bool, isNumbered: Bool) -> (key: ObjectIdentifier, renderer: any EventRenderer) {
    let renderer = isFirst ? route.renderer : route.rendererOfOthers
    return (ObjectIdentifier(renderer), renderer)
  }

  func replayed(_ frames: SharedBytes) {
    lastWrite = worker.reactor.now.nanoseconds
    if let record { record.streamed(frames.count) }
  }

  /// Clients of a stream send nothing.
  var isToldOfExpiry: Bool { false }
  func tellOfExpiry() {}
  func tell(_ arrival: Arrival, of group: String) {}

  func tokenTimeIsUp() {
    if isOpen { scheduleExpiry() }
  }

  func deliver(_ stream: SharedBytes, from offset: Int) -> Delivery {
    lastWrite = worker.reactor.now.nanoseconds
    connection.write(stream, from: offset)
    if let record { record.streamed(stream.count - offset) }
    return connection.lateBytes > route.sendQueueLimit ? .queueOverLimit : .delivered
  }

  func fellBehind() { giveUp(worker.countSlowReader) }
  func mustGiveWay() { giveUp(worker.countGivenWay) }

  private func giveUp(_ count: (any LiveSession) -> Void) {
    guard isOpen else { return }
    record?.ends(CloseReason.slowReader.code, CloseReason.slowReader.text)
    count(self)
    abandon()
  }

  /// Clients of a stream publish nothing.
  func undelivered(_ reason: Undelivered) {}

  /// An event asks for it. A client that is only cut off would come again, so it is told first.
  func close(code: UInt16, reason: String) {
    guard isOpen else { return }
    record?.ends(CloseCode(rawValue: code), reason)
    let stream = SharedBytes(capacity: 128)
    let told: JSON = ["code": .number(code), "reason": .string(reason)]
    ServerSentEvent(name: "close").append(told.bytes, to: stream)
    for membership in feed.memberships { _ = layer?.groups.catchUp(membership) }
    connection.write(stream, from: 0)
    end()
  }
}

// MARK: - The end

extension EventStream {
  func close(_ reason: CloseReason) {
    guard isOpen else { return }
    record?.ends(reason.code, reason.text)
    // To come again as it is, after `retry`, is what a client does without being told.
    guard reason.reconnecting.isUnchanged else {
      return close(code: reason.code.rawValue, reason: reason.text)
    }
    if let retry = reason.retry { tell(retry) }
    end()
  }

  /// Says when to come back. The beginning of the next stream says again what `retry` of the route is.
  private func tell(_ retry: Duration) {
    let stream = SharedBytes(capacity: 32)
    ServerSentEvent.appendRetry(max(retry, Self.leastRetry), to: stream)
    for membership in feed.memberships { _ = layer?.groups.catchUp(membership) }
    connection.write(stream, from: 0)
  }

  /// Sends what is queued and closes the connection.
  private func end() {
    isOpen = false
    leaveGroups()
    connection.finish(timeout: Farewell.lingering)
  }

  private func vanish() {
    worker.countVanished(self)
    connection.peerVanished()
    abandon()
  }

  func abandon() {
    isOpen = false
    leaveGroups()
    // Also where it had ended, and only the last bytes were waited for.
    connection.abort()
  }
}
