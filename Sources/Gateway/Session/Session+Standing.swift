import ChannelLayers
import Consumers
import GatewayConfig
import JSON
import Routing
import WebSocketCore

extension Session {
  /// What is known of a session beyond its route, which of most is nothing.
  final class Standing {
    /// Who the client has shown itself to be.
    var identity: Identity?
    /// What the path captured; kept where groups can be asked for.
    var captures = Captures()
    /// Its places in the groups that it only listens to: those of the route first.
    var further: [Membership] = []
    /// What `LocalGroups.deliveries` was when it was last sent what these groups had for it.
    var caughtUpWith: UInt64 = 0
    /// How many of these are of the route, and stay.
    var ofRoute = 0
    /// Groups that it has asked for and that are not there yet, and whether it still wants them.
    var expected: [String: Bool] = [:]
    /// Where the client has shown, or is to show, who it is.
    var token: TokenState?
    /// Where the route tells who is there.
    var presence: PresentMember?
  }
}

extension Session {
  var identity: Identity? { standing?.identity }

  var takesTokens: Bool { route.takesTokens }

  /// Keeps what is needed later of the hand-shake.
  func know(_ opening: Opening) {
    guard opening.identity != nil || opening.groups.count > 1 || route.hasControls else { return }
    let standing = makeStanding()
    standing.identity = opening.identity
    standing.ofRoute = max(0, opening.groups.count - 1)
    if route.hasControls { standing.captures = opening.captures }
  }
}

// MARK: - Groups that the client asks for

extension Session {
  /// How many groups a session may ask for.
  private static let mostSubscriptions = 256

  /// - Returns: nil where it is a message for the route's consumer. Out of line: most routes never come here.
  @inline(never)
  func control(_ kind: MessageKind, _ payload: RawSpan) -> Flow? {
    let message = kind == .text ? ControlMessage.read(payload) : nil
    if isAwaitingToken {
      if case .auth(let token)? = message { takeToken(token) } else { askForToken() }
      return isCheckingToken ? .pause : .proceed
    }
    switch message {
    case nil: return nil
    case .auth?: guard route.takesTokens else { return nil }
    case .presence?: guard route.hasPresence else { return nil }
    case .subscribe?, .unsubscribe?:
      guard route.consumer.groups?.subscribe.isEmpty == false else { return nil }
    }
    if let message { control(message) }
    return isCheckingToken ? .pause : .proceed
  }

  private func control(_ message: ControlMessage) {
    switch message {
    case .subscribe(let group): subscribe(to: group)
    case .unsubscribe(let group): unsubscribe(from: group)
    case .auth(let token): takeToken(token)
    case .presence(let wish): askForPresence(wish)
    }
  }

  /// Answered with `{"subscribed": GROUP}` once its events come, or with `{"error": ...}`.
  private func subscribe(to group: String) {
    guard maySubscribe(to: group) else {
      return tell(
        "error", "\"\(group)\" is not one of the groups that clients of this route may subscribe to")
    }
    guard let layer else { return }
    let standing = makeStanding()
    guard !isMember(of: group) else { return tell("subscribed", group) }
    if standing.expected[group] != nil {
      standing.expected[group] = true
      return
    }
    let count = standing.further.count - standing.ofRoute + standing.expected.count
    guard count < Self.mostSubscriptions else {
      return tell("error", "a session can subscribe to at most \(Self.mostSubscriptions) groups")
    }
    standing.expected[group] = true
    layer.subscribe(to: group) { [weak self] outcome in
      guard let self else {
        if outcome == .active { layer.unsubscribe(from: group) }
        return
      }
      subscribed(to: group, of: layer, outcome)
    }
  }

  private func subscribed(to group: String, of layer: any ChannelLayer, _ outcome: Subscription) {
    let isExpected = standing?.expected.removeValue(forKey: group) == true
    guard outcome == .active else {
      if isExpected {
        tell("error", "\"\(group)\" was not subscribed to: the channel layer is not available")
      }
      return
    }
    guard isExpected, state == .open, membership != nil else { return layer.unsubscribe(from: group) }
    join(group, of: layer)
    tell("subscribed", group)
  }

  private func unsubscribe(from group: String) {
    guard let standing, let layer else { return tell("unsubscribed", group) }
    if standing.expected[group] != nil { standing.expected[group] = false }
    if let index = standing.further.firstIndex(where: { $0.group == group }), index >= standing.ofRoute {
      leave(standing.further.remove(at: index), of: layer)
    }
    // Those of the route stay.
    if isMember(of: group) {
      tell("error", "\"\(group)\" is the group of this path, which cannot be left")
    } else {
      tell("unsubscribed", group)
    }
  }

  private func maySubscribe(to group: String) -> Bool {
    guard let patterns = route.consumer.groups?.subscribe, !patterns.isEmpty else { return false }
    let captures = standing?.captures ?? Captures()
    return patterns.contains {
      $0.matches(group, captures: captures) { [identity] in identity?.value(of: $0) }
    }
  }

  private func isMember(of group: String) -> Bool {
    membership?.group == group || standing?.further.contains { $0.group == group } == true
  }

  func tell(_ name: String, _ text: String) {
    let answer = JSON.object([.init(key: name, value: .string(text))])
    var bytes: [UInt8] = []
    answer.append(to: &bytes)
    unsafe send(.text, bytes.span.bytes)
  }
}
