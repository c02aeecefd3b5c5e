import ChannelLayers
import Consumers
import GatewayConfig

/// What became of the groups of a client about whom something else is known.
enum GroupChange {
  case changed
  /// The names cannot be used: everything stays.
  case unusable
  /// The session cannot go on.
  case ended(CloseReason)
}

/// Groups of the route that change while a session is open, because what is known of its client has changed.
extension GroupClient {
  /// Leaves the groups that the route does not name for the client any more, and joins those that it names now. The first group stays
  /// what it is where the client's messages, a history or presence belong to it. Otherwise one of a list may go, and the next group takes
  /// its place.
  ///
  /// The session ends if the first group would be another one or none that it is in would stay, a name is not valid, or an order keeps the
  /// client out of a group.
  func changeGroups(to identity: Identity) -> GroupChange {
    guard let groups = route.groups, isReachable,
      let captures = feed.extras?.standing?.credentials.request.captures
    else { return .changed }
    let names: [String]
    switch groups.names(for: captures, given: identity.groups, value: identity.values(of:)) {
    case .success(let all): names = all
    // Another route was exchanged for this one while the view was asked.
    case .failure(.notFromView): return .unusable
    case .failure: return .ended(.groupsChanged)
    }
    if let named = namedForView { return changeGroups(to: names, from: named, of: groups, for: identity) }
    guard let membership = feed.membership else { return .changed }
    // Of several that are alike, any can be the first one.
    let isOneOfMany = groups.templates.isEmpty || groups.beginsWithList(identity.values(of:))
    let wanted = Set(names)
    let keepsFirst = names.first == membership.group || isOneOfMany && wanted.contains(membership.group)
    guard keepsFirst || isOneOfMany && groups.isFirstLikeOthers && feed.hasOtherOfRoute(in: wanted) else {
      return .ended(.groupsChanged)
    }
    if let order = orders.order(.disconnect, for: identity.user, in: names) {
      return .ended(.disconnected.saying(order.reason))
    }
    leaveGroups(except: wanted)
    if !keepsFirst { leaveFirst() }
    let first = feed.membership?.group
    for name in names where feed.extras?.isOfRoute(name) == false && name != first { enter(name) }
    return .changed
  }

  /// The same for a session whose view has it leave and join groups as well: only what the route names otherwise than before makes a
  /// difference.
  private func changeGroups(
    to names: [String], from named: [String], of groups: GroupConfiguration, for identity: Identity
  ) -> GroupChange {
    let isOneOfMany = groups.templates.isEmpty || groups.beginsWithList(identity.values(of:))
    guard names.first == named.first || isOneOfMany else { return .ended(.groupsChanged) }
    if let order = orders.order(.disconnect, for: identity.user, in: names) {
      return .ended(.disconnected.saying(order.reason))
    }
    for name in named where !names.contains(name) { _ = leaveForView(name) }
    namedForView = names
    for name in names where !named.contains(name) && feed.membership?.group != name { enter(name) }
    return .changed
  }

  /// Leaves the first group; the next one of the route takes its place.
  private func leaveFirst() {
    guard let layer, let (old, new) = feed.replaceFirst() else { return }
    let (key, renderer) = audience(isFirst: true, isNumbered: false)
    layer.groups.move(new, route: key, renderer: renderer)
    leave(old, of: layer)
  }

  private func leaveGroups(except wanted: Set<String>) {
    guard let extras = feed.extras, let layer else { return }
    extras.awaited.withdrawView(except: wanted)
    for index in (0..<extras.ofRoute).reversed() where !wanted.contains(extras.others[index].group) {
      leave(extras.others.remove(at: index), of: layer)
      extras.ofRoute -= 1
    }
  }

  /// Joins a group once its events come. If the layer is away, the next question to the view leads here again.
  private func enter(_ group: String) {
    guard let layer, let extras = feed.extras else { return }
    guard let index = extras.others.firstIndex(where: { $0.group == group }) else {
      return joinLater(group, for: .view, of: layer)
    }
    // The client has subscribed to it itself: from now on it is of the route.
    extras.addOfRoute(extras.others.remove(at: index))
  }
}

extension GroupFeed.Extras {
  /// Adds a membership behind the others of the route.
  func addOfRoute(_ membership: Membership) {
    others.insert(membership, at: ofRoute)
    ofRoute += 1
  }

  /// Whether it is one of the route's groups behind the first one.
  fileprivate func isOfRoute(_ group: String) -> Bool {
    others.prefix(ofRoute).contains { $0.group == group }
  }
}
