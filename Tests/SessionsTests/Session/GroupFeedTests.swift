import Bytes
import ChannelLayers
import Consumers
import Glibc
import JSON
import Routing
import Testing
import WebSocketCore

import struct GatewayConfig.ClientRoute
import struct GatewayConfig.GroupConfiguration

@testable import Sessions
@testable import Transport

/// Counts subscriptions, and keeps two events of the group `kept`.
private final class CountingLayer: ChannelLayer {
  let groups: LocalGroups
  private(set) var subscriptions: [String: Int] = [:]
  /// Whether subscriptions begin only with `answer`.
  var isSlow = false
  private var waiting: [(Subscription) -> Void] = []

  init(_ reactor: Reactor) {
    groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
  }

  func publish(_ event: Event, to group: String, from sender: Membership) {}
  func publish(_ event: Event, to group: String, completed: @escaping (Published) -> Void) {}
  func peers(of group: String) -> [any GroupPeer] { [] }

  func subscribe(to group: String, _ completed: @escaping (Subscription) -> Void) {
    subscriptions[group, default: 0] += 1
    if isSlow { waiting.append(completed) } else { completed(.active) }
  }

  /// Begins what waits, or does not.
  func answer(_ outcome: Subscription = .active) {
    let waiting = waiting
    self.waiting = []
    for completed in waiting { completed(outcome) }
  }

  func unsubscribe(from group: String) { subscriptions[group, default: 0] -= 1 }

  func history(of group: String, behind position: EventPosition?, bytes: Int, isContinued: Bool)
    -> HistorySlice?
  {
    guard group == "kept" else { return nil }
    let events = (UInt64(1)...2).map { number in
      var event = Event(type: "line")
      event.position = EventPosition(epoch: 1, offset: number)
      return event
    }
    return HistorySlice(start: EventPosition(epoch: 1, offset: 0), events: events, isLast: true)
  }
}

/// Renders each event as one byte.
private final class OneByte: EventRenderer {
  func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    unsafe frames.append([UInt8]([10]).span.bytes)
    return .frames
  }
}

private final class FakeRoute: LiveRoute {
  let name = "fake"
  let auth: RouteAuthenticator? = nil
  let groups: GroupConfiguration? = nil
  let layer: (any LayerBackend)? = nil
  func admitsFromOutside(_ group: String) -> Bool { group.hasPrefix("room_") }
  let isBound = false
  var meaning: ClientRoute { preconditionFailure("nothing is exchanged for it") }
  static func find(_ path: RequestPath, in routes: LiveRoutes) -> FoundRoute<FakeRoute>? { nil }
}

private final class FakeClient: GroupClient, ConnectionHandler {
  let route = FakeRoute()
  private var own: Connection?
  private let layerOfGroups: CountingLayer
  let identities = WorkerIdentities()
  private let first = OneByte()
  private let others = OneByte()
  var feed = GroupFeed()
  var isOpen = true
  private(set) var replayedBytes = 0
  var reason: CloseReason?
  private(set) var told = 0
  /// What became of the groups that it has asked for.
  private(set) var arrivals: [String] = []
  let orders = StandingOrders()
  var isToldOfExpiry = false
  let wayIn = WayIn.unknown

  init(_ descriptor: Int32, on reactor: Reactor, _ layer: CountingLayer) {
    layerOfGroups = layer
    own = reactor.adopt(Descriptor(adopting: descriptor), handler: self)
  }

  var connection: Connection {
    guard let own else { preconditionFailure("set by the initialiser") }
    return own
  }

  var identity: Identity? { feed.extras?.identity }
  var layer: (any ChannelLayer)? { layerOfGroups }
  var sendQueueLimit: Int { 4096 }
  var worker: WorkerSessions { preconditionFailure("only questions to views need one") }

  func audience(isFirst: Bool, isNumbered: Bool) -> (key: ObjectIdentifier, renderer: any EventRenderer) {
    let renderer = isFirst ? first : others
    return (ObjectIdentifier(renderer), renderer)
  }

  func exchange(for new: FakeRoute) {}
  func replayed(_ frames: SharedBytes) { replayedBytes += frames.count }
  func tellOfExpiry() { told += 1 }
  func tell(_ arrival: Arrival, of group: String) {
    switch arrival {
    case .joined: arrivals.append("joined \(group)")
    case .unavailable: arrivals.append("unavailable \(group)")
    case .keptOut(let order): arrivals.append("kept out of \(group): \(order.reason)")
    }
  }
  /// What became of the groups that anybody wants it in.
  private(set) var outcomes: [String] = []
  func arrived(in group: String, as arrival: Arrival?) {
    switch arrival {
    case .joined: outcomes.append("joined")
    case .unavailable: outcomes.append("unavailable")
    case .keptOut: outcomes.append("kept out")
    case nil: outcomes.append("not wanted")
    }
  }
  func tokenTimeIsUp() {}
  func close(_ reason: CloseReason) { self.reason = reason }
  func close(code: UInt16, reason: String) {}
  func deliver(_ frames: SharedBytes, from offset: Int) -> Delivery { .delivered }
  func fellBehind() {}
  func undelivered(_ reason: Undelivered) {}
  func received(_ bytes: inout MutableRawSpan) {}
  func peerFinished() {}
  func drained() {}
  func closed(_ reason: ConnectionEnd) {}

  func become(_ user: String, until expires: Double? = nil) {
    feed.makeExtras().identity = Identity(user: user, claims: .object([]), expires: expires)
    beginToken()
  }

  /// Its groups, whether it still replays, and how many subscriptions are left.
  var state: String {
    let groups = feed.memberships.map(\.group).joined(separator: "+")
    let members = ["kept", "other"].map { layerOfGroups.groups.memberCount(of: $0) }
    let subscriptions = layerOfGroups.subscriptions.values.reduce(0, +)
    return "\(groups) replaying=\(feed.replay != nil) members=\(members) subscriptions=\(subscriptions)"
  }
}

struct GroupFeedTests {
  @Test func `others have a client join and leave groups that the view may give it`() throws {
    let states = try onReactor { client, layer in
      let opening = GroupsOpening(["other"], of: layer)
      opening.start { _ in }
      #expect(!client.allows(.join(["room_1"]), in: layer.groups))
      client.joinGroups(opening, nil)
      #expect(client.allows(.join(["room_1", "room_2"]), in: layer.groups))
      #expect(!client.allows(.join(["room_1", "drivers"]), in: layer.groups))
      #expect(!client.allows(.mute(until: .now, in: nil), in: layer.groups))
      var states: [String] = []
      for action in [
        SessionAction.join(["room_1", "room_2"]), .join(["room_1"]), .leave(["room_1", "room_3"]),
        .leave(["other"]),
      ] {
        client.carryOut(action, of: layer)
        states.append(client.state)
      }
      // One that has said goodbye joins nothing.
      client.isOpen = false
      client.carryOut(.join(["room_5"]), of: layer)
      states.append(client.state)
      client.leaveGroups()
      return states + [client.state]
    }
    let (two, one) = ("other+room_1+room_2", "other+room_2")
    #expect(
      states
        == [
          (two, 1, 3), (two, 1, 3), (one, 1, 2), (one, 1, 2), (one, 1, 2), ("", 0, 0),
        ].map { "\($0.0) replaying=false members=[0, \($0.1)] subscriptions=\($0.2)" })
  }

  @Test func `a client joins no more groups than it could ask for`() throws {
    let count = try onReactor { client, layer in
      let opening = GroupsOpening(["other"], of: layer)
      opening.start { _ in }
      client.joinGroups(opening, nil)
      for number in 0..<300 { client.carryOut(.join(["room_\(number)"]), of: layer) }
      let count = client.feed.memberships.count
      client.leaveGroups()
      return count
    }
    #expect(count == 257)
  }

  @Test(
    arguments: [
      // What the client, others and a view want while the group is on its way, and what comes of it.
      ([.client], nil, "first+room", ["joined room"], nil),
      ([.others], nil, "first+room", [], nil),
      ([.client, .others, .view], nil, "first+room", ["joined room"], nil),
      ([.client], .client, "first", [], nil),
      ([.client, .others], .client, "first+room", [], nil),
      ([.client, .others, .view], .everybody, "first", [], nil),
    ] as [([AwaitedGroups.Wish], AwaitedGroups.Wish?, String, [String], String?)])
  fileprivate func `a group is subscribed to once, whoever wants the client in it`(
    _ wishes: [AwaitedGroups.Wish], _ withdrawn: AwaitedGroups.Wish?, _ groups: String, _ arrivals: [String],
    _ reason: String?
  ) throws {
    let end = try whileWaiting(for: wishes) { client in
      if let withdrawn { client.feed.extras?.awaited.withdraw(withdrawn, for: "room") }
    }
    #expect(end == Arrived(groups: groups, subscribed: 1, arrivals: arrivals, reason: reason))
  }

  @Test(
    arguments: [
      ([.client], ["kept out of room: be nice"], nil), ([.others], [], nil), ([.view], [], "be nice"),
      ([.others, .client], ["kept out of room: be nice"], nil),
    ] as [([AwaitedGroups.Wish], [String], String?)])
  fileprivate func `an order that comes while a group is on its way keeps the client out of it`(
    _ wishes: [AwaitedGroups.Wish], _ arrivals: [String], _ reason: String?
  ) throws {
    let end = try whileWaiting(for: wishes) { client in
      let subject = StandingOrder.Subject(.disconnect, user: ExactText(text: "5"), group: "room")
      client.orders.add(
        StandingOrder(subject, until: WallClock.secondsSinceEpoch + 60, reason: "be nice"))
    }
    #expect(end == Arrived(groups: "first", subscribed: 1, arrivals: arrivals, reason: reason))
  }

  @Test func `whoever waits for a group is told what became of it`() throws {
    let outcomes = try onReactor { client, layer in
      client.become("5")
      let opening = GroupsOpening(["first"], of: layer)
      opening.start { _ in }
      client.joinGroups(opening, nil)
      layer.isSlow = true
      client.joinLater("room", for: .answer, of: layer)
      layer.answer(.unavailable)
      client.joinLater("room", for: .answer, of: layer)
      layer.answer()
      client.joinLater("other", for: .answer, of: layer)
      client.feed.extras?.awaited.withdraw(.everybody, for: "other")
      layer.answer()
      let subject = StandingOrder.Subject(.disconnect, user: ExactText(text: "5"), group: "third")
      client.orders.add(StandingOrder(subject, until: WallClock.secondsSinceEpoch + 60, reason: "no"))
      client.joinLater("third", for: .answer, of: layer)
      layer.answer()
      defer { client.leaveGroups() }
      return client.outcomes
    }
    #expect(outcomes == ["unavailable", "joined", "not wanted", "kept out"])
  }

  private struct Arrived: Sendable, Equatable {
    var groups: String
    /// How often the group was subscribed to while it was on its way.
    var subscribed: Int
    var arrivals: [String]
    var reason: String?
    /// Subscriptions less memberships.
    var left = 0
  }

  /// A user's client that has the group `first`, while it waits for `room`.
  private func whileWaiting(
    for wishes: [AwaitedGroups.Wish], _ meanwhile: @escaping @Sendable (FakeClient) -> Void
  ) throws -> Arrived {
    try onReactor { client, layer in
      client.become("5")
      let opening = GroupsOpening(["first"], of: layer)
      opening.start { _ in }
      client.joinGroups(opening, nil)
      layer.isSlow = true
      for wish in wishes { client.joinLater("room", for: wish, of: layer) }
      let subscribed = layer.subscriptions["room"] ?? 0
      meanwhile(client)
      layer.answer()
      let members = client.feed.memberships.map(\.group)
      let left = layer.subscriptions.values.reduce(0, +) - members.count
      defer { client.leaveGroups() }
      return Arrived(
        groups: members.joined(separator: "+"), subscribed: subscribed, arrivals: client.arrivals,
        reason: client.reason?.text, left: left)
    }
  }

  /// Runs the body with a client on a reactor of its own.
  private func onReactor<Result: Sendable>(
    _ body: @escaping @Sendable (FakeClient, CountingLayer) -> Result
  ) throws -> Result {
    var ends: [Int32] = [0, 0]
    #expect(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &ends) == 0)
    let (own, other) = (ends[0], ends[1])
    defer { close(other) }
    let (thread, result) = try Reactor.start(name: "test") { reactor in
      let layer = CountingLayer(reactor)
      let client = FakeClient(own, on: reactor, layer)
      defer { client.connection.abort() }
      return body(client, layer)
    }
    thread.stop()
    thread.join()
    return result
  }

  @Test func `a client replays its first group, goes on with the others, and leaves each group once`() throws
  {
    let states = try onReactor { client, layer in
      let opening = GroupsOpening(["kept", "other"], of: layer)
      opening.start { _ in }
      client.joinGroups(opening, HistoryRequest(query: nil))
      var states = [client.state]
      client.goOnReplaying()
      states.append(client.state + " replayed=\(client.replayedBytes)")
      client.leaveGroups()
      states.append(client.state)
      client.leaveGroups()
      opening.abandon()
      states.append(client.state)
      return states
    }
    #expect(
      states == [
        "kept+other replaying=true members=[1, 1] subscriptions=2",
        "kept+other replaying=false members=[1, 1] subscriptions=2 replayed=2",
        " replaying=false members=[0, 0] subscriptions=0",
        " replaying=false members=[0, 0] subscriptions=0",
      ])
  }

  @Test func `without a history that is wanted and kept, a client joins at once`() throws {
    let states = try onReactor { client, layer in
      [(["other"], HistoryRequest(query: nil)), (["kept"], nil)].map { groups, history in
        let opening = GroupsOpening(groups, of: layer)
        opening.start { _ in }
        client.joinGroups(opening, history)
        defer { client.leaveGroups() }
        return client.state
      }
    }
    #expect(
      states == [
        "other replaying=false members=[0, 1] subscriptions=1",
        "kept replaying=false members=[1, 0] subscriptions=1",
      ])
  }

  @Test func `most clients need no extras`() throws {
    let hasNone = try onReactor { client, layer in
      client.join("other", of: layer, isFirst: true)
      client.beginToken()
      defer { client.leaveGroups() }
      return client.feed.extras == nil
    }
    #expect(hasNone)
  }

  @Test func `a client is found by its user until it leaves`() throws {
    let counts = try onReactor { client, _ in
      client.become("5", until: WallClock.secondsSinceEpoch + 1000)
      let before = client.identities.sessions(of: "5").count
      client.leaveGroups()
      return [before, client.identities.sessions(of: "5").count]
    }
    #expect(counts == [1, 0])
  }

  @Test(arguments: [
    (-1.0, true, "the token has expired, told 0"),
    (20, false, "open, told 0"),
    (20, true, "open, told 1"),
    (1000, true, "open, told 0"),
  ])
  func `the end of a token closes the session, and is told before where that is of use`(
    _ left: Double, _ isTold: Bool, _ expected: String
  ) throws {
    let state = try onReactor { client, _ in
      client.isToldOfExpiry = isTold
      client.become("5", until: WallClock.secondsSinceEpoch + left)
      // Not told again.
      if client.reason == nil { client.scheduleExpiry() }
      defer { client.leaveGroups() }
      return "\(client.reason?.text ?? "open"), told \(client.told)"
    }
    #expect(state == expected)
  }

  @Test func `the close says whether the permission has ended, or the token`() throws {
    let reasons = try onReactor { client, _ in
      [(1000.0, -1.0), (-1, 1000), (-1, nil)].map { (token: Double, permission: Double?) in
        let now = WallClock.secondsSinceEpoch
        let known = Identity(user: "5", claims: .object([]), expires: now + token)
        client.feed.makeExtras().identity =
          permission.map { known.adding(.object([.init(key: "exp", value: .double(now + $0))])) } ?? known
        client.reason = nil
        client.beginToken()
        defer { client.leaveGroups() }
        return client.reason?.text ?? "open"
      }
    }
    #expect(reasons == ["the permission has expired", "the token has expired", "the token has expired"])
  }

  @Test(arguments: [
    (1000.0, true, TokenExpiry.expired),
    (999, false, .expired),
    (1020, false, .later(.seconds(20))),
    (1020, true, .notice(.seconds(20))),
    (1030, true, .notice(.seconds(30))),
    (1031, true, .later(.seconds(1))),
    (9000, false, .later(.seconds(3600))),
    (9000, true, .later(.seconds(3600))),
    (.infinity, false, .later(.seconds(3600))),
    (-.infinity, false, .expired),
  ])
  func `what is due depends on the time that is left`(
    _ end: Double, _ isTold: Bool, _ expected: TokenExpiry
  ) {
    #expect(TokenExpiry(at: end, now: 1000, isTold: isTold) == expected)
  }
}
