import ChannelLayers
import GatewayConfig
import Routing
import Transport

/// The owner of a `GroupFeed`: a WebSocket session or an event stream.
protocol GroupClient: OrderedSession {
  associatedtype Route: LiveRoute
  var route: Route { get }
  /// How the client has come in.
  var wayIn: WayIn { get }
  /// Whether the page of the client may use a route with these.
  func isAdmitted(by origins: OriginPolicy) -> Bool
  /// What the client's path has captured by a route that is about to be exchanged for its own.
  func take(_ captures: Captures, of new: Route)
  /// Takes the rules of a route that continues its own. What was agreed on in the handshake stays.
  func exchange(for new: Route)

  var connection: Connection { get }
  var worker: WorkerSessions { get }
  var feed: GroupFeed { get set }
  /// False once its end has begun.
  var isOpen: Bool { get }
  /// The reactor's end of the channel layer with the groups.
  var layer: (any ChannelLayer)? { get }
  var identities: WorkerIdentities { get }
  /// Those that hold for a time.
  var orders: StandingOrders { get }
  /// In bytes.
  var sendQueueLimit: Int { get }

  /// The clients that see events in the same form as this one, and that form.
  ///
  /// - Parameters:
  ///   - isFirst: whether the group is the first one of the route.
  ///   - isNumbered: whether the frames contain positions.
  func audience(isFirst: Bool, isNumbered: Bool) -> (key: ObjectIdentifier, renderer: any EventRenderer)

  /// A part of the history was written.
  func replayed(_ frames: SharedBytes)

  /// A client that has asked for a group is told what became of it.
  func tell(_ arrival: Arrival, of group: String)
  /// A group that was waited for has come, or will not.
  ///
  /// - Parameter arrival: nil if nobody wants it any more.
  func arrived(in group: String, as arrival: Arrival?)
  /// Another token or another question has told who the client is.
  func identityChanged()
  /// The groups that the route names, where a view has the client leave and join some as well; nil where it does not.
  var namedForView: [String]? { get set }
  /// Leaves a group, whether or not it is the route's.
  ///
  /// - Returns: whether the client was in it.
  func leaveForView(_ group: String) -> Bool

  /// Whether the client can send another token before its own expires, and is told when.
  var isToldOfExpiry: Bool { get }
  func tellOfExpiry()
  /// The time of `GroupFeed.TokenState.timer` is over.
  func tokenTimeIsUp()
}

// MARK: - Groups and their history

extension GroupClient {
  var orders: StandingOrders { worker.process.orders }

  func isAdmitted(by origins: OriginPolicy) -> Bool { wayIn.isAdmitted(by: origins) }
  func take(_ captures: Captures, of new: Route) {}

  /// No view has answered that an event stream joins a group.
  func arrived(in group: String, as arrival: Arrival?) {}
  func identityChanged() {}
  var namedForView: [String]? {
    get { nil }
    set {}
  }
  func leaveForView(_ group: String) -> Bool { false }

  /// Whether it is in a group, or can come into one.
  var isReachable: Bool { feed.membership != nil || ownMembership != nil }

  /// Whether it is the first group of a client whose route names none: it was joined like any other one, and is left like one.
  func isFirstByChance(_ group: String) -> Bool {
    feed.membership?.group == group && route.groups?.templates.isEmpty == true
  }

  /// Joins the route's groups; before the client is told that it is accepted, so that it misses nothing after that.
  ///
  /// - Parameter history: the part of the first group's history that is wanted, if the group keeps one. It follows with
  ///   `goOnReplaying`, and only then what comes.
  func joinGroups(_ opening: GroupsOpening, _ history: HistoryRequest?) {
    opening.handOver()
    for (number, group) in opening.groups.enumerated() {
      if number == 0, let history, opening.layer.history(of: group, behind: nil, bytes: 0) != nil {
        join(group, of: opening.layer, history)
      } else {
        join(group, of: opening.layer, isFirst: number == 0)
      }
    }
  }

  /// - Parameter isFirst: whether the group is the first one of the route.
  func join(_ group: String, of layer: any ChannelLayer, isFirst: Bool = false) {
    let (key, renderer) = audience(isFirst: isFirst, isNumbered: false)
    feed.add(layer.groups.join(self, group: group, route: key, renderer: renderer))
  }

  private func join(_ group: String, of layer: any ChannelLayer, _ history: HistoryRequest) {
    let renderer = audience(isFirst: true, isNumbered: history.isNumbered).renderer
    let replay = Replay(from: history.start, isNumbered: history.isNumbered, in: layer, renderer: renderer)
    feed.replay = replay
    feed.add(layer.groups.join(self, group: group, route: ObjectIdentifier(replay), renderer: replay))
  }

  /// Sends what the first group keeps, as far as the client has room for it, and then lets it go on with the others. It is called
  /// again when the client has taken that.
  func goOnReplaying() {
    guard let replay = feed.replay, let membership = feed.membership, let layer, isOpen else { return }
    let progress = replay.feed(connection, membership, in: layer, limit: sendQueueLimit) { replayed($0) }
    if progress == .caughtUp {
      feed.replay = nil
      let (key, renderer) = audience(isFirst: true, isNumbered: replay.isNumbered)
      layer.groups.move(membership, route: key, renderer: renderer)
    } else if progress == .more, connection.queuedBytes == 0 {
      connection.askForTurn()
    }
  }

  /// The client is in no group and known to nobody from now on.
  func leaveGroups() {
    endToken()
    feed.replay = nil
    guard let layer else { return }
    let memberships = feed.takeMemberships()
    let presence = feed.extras?.presence
    feed.extras?.presence = nil
    presence?.leave()
    for membership in memberships { leave(membership, of: layer) }
  }

  func leave(_ membership: Membership, of layer: any ChannelLayer) {
    layer.groups.leave(membership)
    layer.unsubscribe(from: membership.group)
  }
}
