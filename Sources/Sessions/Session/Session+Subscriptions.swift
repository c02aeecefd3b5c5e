import ChannelLayers
import Consumers
import GatewayConfig
import JSON
import Routing
import WebSocketCore

/// Groups that the client asks for, and who is in them.
extension Session {
  /// - Returns: nil where it is a message for the route's consumer. Out of line: most routes never come here.
  @inline(never)
  func control(_ kind: MessageKind, _ payload: RawSpan) -> Flow? {
    if let meter = feed.extras?.meter { return counted(kind, payload, by: meter) }
    guard takesControl(kind, payload) else { return nil }
    return isHeldBack ? .pause : .proceed
  }

  /// Handles a message for the gateway itself.
  ///
  /// - Returns: false where it is one for the route's consumer.
  func takesControl(_ kind: MessageKind, _ payload: RawSpan) -> Bool {
    guard route.takesControls else { return refuseMuted() }
    let message = kind == .text ? ControlMessage.read(payload) : nil
    if isAwaitingToken {
      if case .auth(let token)? = message {
        takeToken(token)
      } else {
        tell("error", #"send {"auth": "TOKEN"} first"#)
      }
      return true
    }
    guard let message else { return refuseMuted() }
    let takesSubscriptions = route.groups?.subscribe.isEmpty == false
    switch message {
    case .auth(let token) where route.takesTokens: takeToken(token)
    case .presence(let wish) where route.hasPresence: askForPresence(wish)
    case .subscribe(let group) where takesSubscriptions: subscribe(to: group)
    case .unsubscribe(let group) where takesSubscriptions: unsubscribe(from: group)
    case .auth, .presence, .subscribe, .unsubscribe: return refuseMuted()
    }
    return true
  }

  /// Answered with `{"subscribed": GROUP}` once its events come, or with `{"error": ...}`.
  private func subscribe(to group: String) {
    guard maySubscribe(to: group) else {
      return tell(
        "error", "\"\(group)\" is not one of the groups that clients of this route may subscribe to")
    }
    guard let layer else { return }
    if let order = orders.order(.disconnect, for: identity?.user, in: [group]) {
      return tell(.keptOut(order), of: group)
    }
    guard !feed.isMember(of: group) else { return tell("subscribed", group) }
    guard feed.hasRoom(for: group) else {
      return tell("error", "a session can subscribe to at most \(GroupFeed.mostJoined) groups")
    }
    joinLater(group, for: .client, of: layer)
  }

  func tell(_ arrival: Arrival, of group: String) {
    switch arrival {
    case .joined: tell("subscribed", group)
    case .unavailable:
      tell("error", "\"\(group)\" was not subscribed to: the channel layer is not available")
    case .keptOut(let order): tell("error", order.reason)
    }
  }

  private func unsubscribe(from group: String) {
    guard let layer else { return tell("unsubscribed", group) }
    feed.extras?.awaited.withdraw([.client, .others], for: group)
    if let extras = feed.extras, let index = extras.others.firstIndex(where: { $0.group == group }),
      index >= extras.ofRoute
    {
      leave(extras.others.remove(at: index), of: layer)
    }
    if isFirstByChance(group) { _ = leaveForView(group) }
    // Those of the route stay.
    if feed.isMember(of: group) {
      tell("error", "\"\(group)\" is the group of this path, which cannot be left")
    } else {
      tell("unsubscribed", group)
    }
  }

  private func maySubscribe(to group: String) -> Bool {
    let captures = captures
    return (route.groups?.subscribe ?? []).contains {
      $0.matchesAny(group, captures: captures) { [identity] in identity?.values(of: $0) }
    }
  }

  /// Lets the others of the group that the client's messages go to know that it is there, where the route tells that.
  func joinPresence() {
    guard route.hasPresence, let membership,
      let presence = route.layer.flatMap({ worker.layers[$0].presence })
    else { return }
    let audience = audience(isFirst: true, isNumbered: false)
    feed.makeExtras().presence = presence.join(
      self, group: membership.group, route: audience.key, renderer: audience.renderer, user: identity?.user)
  }

  private func askForPresence(_ wish: String) {
    guard wish == "list" else { return tell("error", #"the value of "presence" must be "list""#) }
    feed.extras?.presence?.askForList()
  }

  func tell(_ name: String, _ text: String) {
    let answer: JSON = [name: .string(text)]
    let bytes = answer.bytes
    unsafe send(.text, bytes.span.bytes)
  }
}
