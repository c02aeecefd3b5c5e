import ChannelLayers
import Consumers
import JSON
import Transport
import WebSocketCore

/// One client of an `events` route: a request whose answer does not end, and which the events of a group are written to.
///
/// Confined to its worker's reactor, like a WebSocket session. While nothing happens it is this object and its connection.
final class EventStream: LiveSession {
  /// Bytes behind the request that are passed over, such as a body that nobody asked for; a client that sends more is let go.
  private static let mostIgnored = 16 * 1024
  /// How long the last bytes may take to arrive.
  private static let lingering = Duration.seconds(2)

  let connection: Connection
  let route: EventRoute
  private unowned let worker: Worker
  /// Who the client has shown itself to be.
  let identity: Identity?
  /// In the route's groups, in their order.
  private var memberships: [Membership] = []
  /// While it is sent what its first group keeps of the time before.
  private var replay: Replay?
  /// The end of the token that it was shown with.
  private var expiry: Timer?
  /// When something was last written, in nanoseconds of the reactor's clock.
  private var lastWrite: UInt64
  private var silence = PeerSilence()
  private var ignored = 0
  private var isEnded = false
  /// What it takes up of the connections that its address may have.
  var place: AddressPlace?
  /// Where `logging.sessions` wants one.
  var record: SessionRecord?
  var index = 0

  init(connection: Connection, route: EventRoute, identity: Identity?, worker: Worker) {
    self.connection = connection
    self.route = route
    self.identity = identity
    self.worker = worker
    lastWrite = worker.reactor.now.nanoseconds
  }

  var routeName: String { route.name }

  /// Joins the route's groups; before the client is answered, so that it misses nothing after that.
  ///
  /// - Parameter history: what of the first one's history is wanted, where it keeps one.
  func join(_ opening: GroupsOpening, _ history: HistoryRequest?) {
    opening.handOver()
    let layer = opening.layer
    for (number, group) in opening.groups.enumerated() {
      let renderer = number == 0 ? route.renderer : route.rendererOfOthers
      guard number == 0, let history, layer.history(of: group, behind: nil, bytes: 0) != nil else {
        memberships.append(
          layer.groups.join(self, group: group, route: ObjectIdentifier(renderer), renderer: renderer))
        continue
      }
      let replay = Replay(from: history.start, isNumbered: history.isNumbered, in: layer, renderer: renderer)
      self.replay = replay
      memberships.append(
        layer.groups.join(self, group: group, route: ObjectIdentifier(replay), renderer: replay))
    }
  }

  /// Sends what the first group keeps, as far as the client has room for it, and then lets it go on with the others.
  func goOnReplaying() {
    guard let replay, let membership = memberships.first, let layer = worker.layer(of: route), !isEnded
    else { return }
    lastWrite = worker.reactor.now.nanoseconds
    let progress = replay.feed(connection, membership, in: layer, limit: route.sendQueueLimit) {
      if let record { record.streamed($0.count) }
    }
    if progress == .caughtUp {
      self.replay = nil
      layer.groups.move(membership, route: ObjectIdentifier(route.renderer), renderer: route.renderer)
    } else if progress == .more, connection.queuedBytes == 0 {
      connection.askForTurn()
    }
  }

  /// The client has been answered.
  func begin() {
    guard let identity else { return }
    worker.identities.add(self)
    if let expires = identity.expires { end(at: expires) }
  }

  /// - Parameter time: seconds since 1970. The clock is looked at again every hour: it may be set.
  private func end(at time: Double) {
    guard !isEnded else { return }
    let left = time - WallClock.secondsSinceEpoch
    guard left > 0 else { return close(.tokenExpired) }
    let timer = expiry ?? worker.reactor.timer { [unowned self] in end(at: time) }
    expiry = timer
    timer.schedule(after: .seconds(min(left, 3600)))
  }

  private func leave() {
    expiry?.cancel()
    replay = nil
    if identity != nil { worker.identities.remove(self) }
    guard let layer = worker.layer(of: route) else { return }
    let memberships = memberships
    self.memberships = []
    for membership in memberships {
      layer.groups.leave(membership)
      layer.unsubscribe(from: membership.group)
    }
  }

  /// A comment, which clients pass over: it shows them and all that is between that the connection lives, and shows the
  /// system whether they do. Not behind a queue, which shows the same.
  ///
  /// A client that owes the system an answer for too long is gone; one that only does not read is not.
  func checkKeepAlive(at now: UInt64) {
    guard !isEnded else { return }
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
    goOnReplaying()
  }

  func goOn() {
    goOnReplaying()
  }

  func closed(_ reason: ConnectionEnd) {
    isEnded = true
    leave()
    place = nil
    record?.ended(user: identity?.user, at: worker.reactor.now)
    record = nil
    worker.sessionEnded(self)
  }
}

extension EventStream: UserSession {}

extension EventStream: GroupMember {
  func deliver(_ stream: SharedBytes, from offset: Int) -> Delivery {
    lastWrite = worker.reactor.now.nanoseconds
    connection.write(stream, from: offset)
    if let record { record.streamed(stream.count - offset) }
    return connection.lateBytes > route.sendQueueLimit ? .queueOverLimit : .delivered
  }

  func fellBehind() {
    guard !isEnded else { return }
    record?.ends(CloseReason.slowReader.code, CloseReason.slowReader.text)
    worker.countSlowReader(self)
    abandon()
  }

  func mustGiveWay() {
    guard !isEnded else { return }
    record?.ends(CloseReason.slowReader.code, CloseReason.slowReader.text)
    worker.countGivenWay(self)
    abandon()
  }

  /// Clients of a stream publish nothing.
  func undelivered(_ reason: Undelivered) {}

  /// An event asks for it. A client that is only cut off would come again, so it is told first.
  func close(code: UInt16, reason: String) {
    guard !isEnded else { return }
    record?.ends(CloseCode(rawValue: code), reason)
    let stream = SharedBytes(capacity: 128)
    var text: [UInt8] = []
    JSON.object([
      .init(key: "code", value: .integer(Int64(code))), .init(key: "reason", value: .string(reason)),
    ]).append(to: &text)
    ServerSentEvent(name: "close").append(text, to: stream)
    for membership in memberships { _ = worker.layer(of: route)?.groups.catchUp(membership) }
    connection.write(stream, from: 0)
    end()
  }
}

// MARK: - The end

extension EventStream {
  func close(_ reason: CloseReason) {
    guard !isEnded else { return }
    record?.ends(reason.code, reason.text)
    // To come again as it is, after `retry`, is what a client does without being told.
    guard !reason.reconnecting.isUnchanged else { return end() }
    close(code: reason.code.rawValue, reason: reason.text)
  }

  /// Sends what is queued and closes the connection.
  private func end() {
    isEnded = true
    leave()
    connection.finish(timeout: Self.lingering)
  }

  private func vanish() {
    worker.countVanished(self)
    connection.peerVanished()
    abandon()
  }

  func abandon() {
    isEnded = true
    leave()
    // Also where it had ended, and only the last bytes were waited for.
    connection.abort()
  }
}
