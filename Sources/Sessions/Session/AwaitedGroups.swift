import ChannelLayers
import Consumers

/// The groups that a client is to join once their events come, and who wants that: the client, a view's answer, or others.
///
/// There is one subscription for each group, whoever else wants it meanwhile.
struct AwaitedGroups {
  /// Who wants the client in a group. Nobody, if all have thought better of it.
  struct Wish: OptionSet {
    let rawValue: UInt8

    /// The client has asked, and is told what becomes of it.
    static let client = Wish(rawValue: 1)
    /// An order from outside. The client is told nothing.
    static let others = Wish(rawValue: 2)
    /// A view's answer: the group is one of the route's then.
    static let view = Wish(rawValue: 4)
    /// An answer of the view of `consumer: view`, which goes on when the session is in the group.
    static let answer = Wish(rawValue: 8)
    static let everybody: Wish = [.client, .others, .view, .answer]
  }

  private(set) var wishes: [String: Wish] = [:]

  /// How many of them count in `GroupFeed.mostJoined`: all but those of the route. What nobody wants any more counts until it is there, or
  /// a client could have any number on the way.
  var counted: Int { wishes.values.count { $0 != .view } }

  /// - Returns: whether the group has to be subscribed to.
  mutating func add(_ wish: Wish, for group: String) -> Bool {
    let isNew = wishes[group] == nil
    wishes[group, default: []].insert(wish)
    return isNew
  }

  func has(_ group: String) -> Bool { wishes[group] != nil }

  mutating func withdraw(_ wish: Wish, for group: String) {
    wishes[group]?.subtract(wish)
  }

  /// The view names other groups now.
  mutating func withdrawView(except wanted: Set<String>) {
    for group in wishes.keys where !wanted.contains(group) { withdraw(.view, for: group) }
  }

  /// The group's events come, or do not come.
  mutating func take(_ group: String) -> Wish { wishes.removeValue(forKey: group) ?? [] }
}

/// What became of a group that a client has asked for.
enum Arrival {
  case joined
  /// The channel layer is not available.
  case unavailable
  case keptOut(StandingOrder)
}

// MARK: - Joining them

extension GroupClient {
  /// Joins a group behind those of the route, once its events come: at once, or later. Does nothing more if it is on its way already.
  func joinLater(_ group: String, for wish: AwaitedGroups.Wish, of layer: any ChannelLayer) {
    guard feed.makeExtras().awaited.add(wish, for: group) else { return }
    layer.subscribe(to: group) { [weak self] outcome in
      guard let self else {
        if outcome == .active { layer.unsubscribe(from: group) }
        return
      }
      arrived(in: group, of: layer, outcome)
    }
  }

  /// The one place where a client comes into a group while it is open. An order may have come while the group was waited for.
  private func arrived(in group: String, of layer: any ChannelLayer, _ outcome: Subscription) {
    let arrival = settle(group, of: layer, outcome)
    arrived(in: group, as: arrival)
  }

  /// - Returns: nil if nobody wants it any more.
  private func settle(_ group: String, of layer: any ChannelLayer, _ outcome: Subscription) -> Arrival? {
    let wish = feed.extras?.awaited.take(group) ?? []
    guard outcome == .active else {
      // If a view wants it, the next question to it leads here again.
      if wish.contains(.client), isOpen { tell(.unavailable, of: group) }
      return .unavailable
    }
    guard !wish.isEmpty, isOpen, isReachable else {
      layer.unsubscribe(from: group)
      return nil
    }
    if let order = orders.order(.disconnect, for: identity?.user, in: [group]) {
      layer.unsubscribe(from: group)
      // Like a handshake of a route with this group.
      if wish.contains(.view) {
        close(.disconnected.saying(order.reason))
      } else if wish.contains(.client) {
        tell(.keptOut(order), of: group)
      }
      return .keptOut(order)
    }
    if wish.contains(.view) { joinRoute(group, of: layer) } else { join(group, of: layer) }
    if wish.contains(.client) { tell(.joined, of: group) }
    return .joined
  }

  private func joinRoute(_ group: String, of layer: any ChannelLayer) {
    guard feed.membership != nil else { return join(group, of: layer) }
    let (key, renderer) = audience(isFirst: false, isNumbered: false)
    feed.extras?.addOfRoute(layer.groups.join(self, group: group, route: key, renderer: renderer))
  }
}
