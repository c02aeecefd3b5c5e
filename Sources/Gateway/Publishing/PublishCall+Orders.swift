import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import JSON
import Routing
import Sessions
import Transport
import WebSocketCore

// Orders about sessions: disconnect, mute, join, leave. They may be repeated without harm.

extension PublishCall {
  func order(
    _ kind: ControlOrder.Kind, _ body: [UInt8], _ caller: PublishEndpoint.Caller
  ) throws(PublishRefusal) {
    try checkType()
    try read(body) { [endpoint] body throws(PublishRefusal) in
      let order = try ControlOrder(kind, body: body)
      try endpoint.checkGroups(of: order, caller)
      return order
    } _: { [self] order in
      attempt { () throws(PublishRefusal) in try carryOut(order) }
    }
  }

  /// Lifts an order that holds for a time: `?user=`, `?group=`.
  func lift(_ kind: ControlOrder.Kind, _ caller: PublishEndpoint.Caller) throws(PublishRefusal) {
    var query = try RequestQuery(exchange.path.query)
    var values: [String: JSON] = [:]
    for name in OrderFields.names(of: kind) { values[name] = query.value(name).map(JSON.string) }
    try query.finish()
    let order = try ControlOrder(kind, values, at: WallClock.secondsSinceEpoch)
    try endpoint.checkGroups(of: order, caller)
    try carryOut(order)
  }

  private func carryOut(_ order: ControlOrder) throws(PublishRefusal) {
    let orders = worker.process.orders
    if let standing = order.standing, !orders.add(standing) {
      throw .busy("there are \(StandingOrders.most) orders that hold for a time: lift some of them")
    }
    let isLifted = order.lifted.map { orders.remove($0) }
    let layers = endpoint.surroundings.layers.shared
    guard order.standing != nil || order.lifted != nil, !layers.isEmpty else {
      if let lifted = order.lifted { orders.forgotten([lifted]) }
      return tellAll(order, isKept: true, isLifted)
    }
    worker.offload {
      var isKept = true
      for layer in layers { isKept = await layer.keep(order) && isKept }
      return isKept
    } _: { [self] isKept in
      var order = order
      order.isKept = isKept
      if isKept, let lifted = order.lifted { orders.forgotten([lifted]) }
      tellAll(order, isKept: isKept, isLifted)
    }
  }

  /// - Parameters:
  ///   - isKept: whether processes that start later will know the order.
  ///   - isLifted: whether it has lifted one; nil for an order that lifts nothing.
  private func tellAll(_ order: ControlOrder, isKept: Bool, _ isLifted: Bool?) {
    var told: SessionsTold?
    var undelivered: Undelivered??
    let completed = { [self] in
      guard let told, let undelivered else { return }
      answer(order, told, isLifted, Self.fault(of: told, isKept, undelivered))
    }
    publisher.carryOut(order, of: endpoint.layer, from: worker) {
      told = $0
      completed()
    }
    // They do not wait until the sessions of this one have had their turn.
    publisher.tell(order.event, on: endpoint.surroundings.layers.shared, from: worker) {
      undelivered = .some($0)
      completed()
    }
  }

  /// What somebody may not have been told; nil if everybody is.
  private static func fault(
    of told: SessionsTold, _ isKept: Bool, _ undelivered: Undelivered?
  ) -> String? {
    if let undelivered { return "other processes may not have been told: \(undelivered.rawValue)" }
    if !isKept { return "processes that start later may not know of it: the channel layer did not keep it" }
    return told.isBusy ? "some sessions of this process were not told: too many orders wait" : nil
  }

  private func answer(_ order: ControlOrder, _ told: SessionsTold, _ isLifted: Bool?, _ fault: String?) {
    let text = Self.answer(to: order, told, isLifted)
    guard let fault else { return answer(.json(200, text)) }
    // Repeating the request does no harm, so the client may be asked to.
    answer(
      .json(503, text.with(["error": .string(fault)]), fields: [HeaderField(name: "Retry-After", value: "1")])
    )
  }

  /// `{"user": "5", "sessions": 2}`: the target, and on how many sessions of this process the order was carried out.
  private static func answer(to order: ControlOrder, _ told: SessionsTold, _ isLifted: Bool?) -> JSON {
    var members = order.target.members
    if !order.groups.isEmpty {
      members.append(.init(key: "groups", value: .array(order.groups.map(JSON.string))))
    }
    if let until = order.until {
      members.append(.init(key: "until", value: .number(Int64(until.rounded(.up)))))
    }
    if let isLifted { members.append(.init(key: "lifted", value: .bool(isLifted))) }
    if order.kind != .admit { members.append(.init(key: "sessions", value: .number(told.sessions))) }
    switch order.kind {
    case .mute, .unmute, .join, .leave: members.append(.init(key: "refused", value: .number(told.refused)))
    case .disconnect, .admit: break
    }
    if told.isUnfinished { members.append(.init(key: "unfinished", value: .bool(true))) }
    return .object(members)
  }

  /// The orders of a kind that hold, the one that ends first at the front.
  func listOrders(_ kind: StandingOrder.Kind) throws(PublishRefusal) {
    try RequestQuery(exchange.path.query).finish()
    let orders = worker.process.orders
    // Ten thousand take longer than a turn should.
    worker.offload {
      let all = orders.all(kind).map { order -> JSON in
        let about = SessionTarget(user: order.subject.user?.text, group: order.subject.group)
        let rest: JSON = ["until": .number(Int64(order.until.rounded(.up))), "reason": .string(order.reason)]
        return JSON.object(about.members).with(rest)
      }
      let list: JSON = ["orders": .array(all)]
      return list.bytes + "\n".utf8
    } _: { [self] text in
      answer(.json(200, text: text))
    }
  }
}

extension PublishEndpoint {
  /// Refuses users whom an order keeps out, or keeps out of a group that they want to read. A program with a token of the route is no user.
  func checkOrders(about caller: Caller, reading groups: [String] = []) throws(PublishRefusal) {
    if let order = order(.disconnect, for: caller, in: groups) { throw PublishRefusal(order, for: caller) }
  }

  /// Refuses users whom an order keeps from sending to one of the groups.
  func checkOrders(about caller: Caller, in events: [GroupEvent]) throws(PublishRefusal) {
    let groups = events.map(\.group)
    for kind in StandingOrder.Kind.allCases {
      if let order = order(kind, for: caller, in: groups) { throw PublishRefusal(order, for: caller) }
    }
  }

  /// Whether a list of groups for this client has the group.
  func mayList(_ group: String, _ caller: Caller) -> Bool {
    mayName(group, caller) && order(.disconnect, for: caller, in: [group]) == nil
  }

  private func order(_ kind: StandingOrder.Kind, for caller: Caller, in groups: [String]) -> StandingOrder? {
    guard caller.lane != .token else { return nil }
    return surroundings.process.orders.order(kind, for: caller.identity?.user, in: groups)
  }

  /// A route that may not name a group may not give orders about it.
  func checkGroups(of order: ControlOrder, _ caller: Caller) throws(PublishRefusal) {
    let named = order.groups + (order.target.group.map { [$0] } ?? [])
    guard let other = named.first(where: { !mayName($0, caller) }) else { return }
    throw PublishRefusal(.publishNotAllowed, "this route may not give orders about the group \"\(other)\"")
  }
}

extension PublishRefusal {
  /// What a user is told whom an order holds for. The log says who it is.
  fileprivate init(_ order: StandingOrder, for caller: PublishEndpoint.Caller) {
    self.init(
      .publishNotAllowed, order.reason, facts: caller.identity.map { ["user": $0.user] } ?? [:])
  }
}

extension SessionTarget {
  fileprivate var members: [JSON.Member] {
    let all = [("user", user?.text), ("address", address), ("group", group)]
    return all.compactMap { name, text in text.map { JSON.Member(key: name, value: .string($0)) } }
  }
}
