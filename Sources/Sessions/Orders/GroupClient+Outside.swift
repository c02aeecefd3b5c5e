import ChannelLayers
import Consumers

// Groups that others have a client join, and leave again. The client is told nothing of it.

extension GroupClient {
  /// Joins a group behind those of the route, once its events come. Does nothing if the client is in it, or is in too many.
  ///
  /// - Parameter group: one that the route admits.
  func joinFromOutside(_ group: String, of layer: any ChannelLayer) {
    guard !feed.isMember(of: group) else { return }
    let extras = feed.makeExtras()
    if extras.arriving[group] != nil {
      extras.arriving[group] = true
      return
    }
    guard feed.joined < GroupFeed.mostJoined else { return }
    extras.arriving[group] = true
    layer.subscribe(to: group) { [weak self] outcome in
      guard let self else {
        if outcome == .active { layer.unsubscribe(from: group) }
        return
      }
      arrived(in: group, of: layer, outcome)
    }
  }

  private func arrived(in group: String, of layer: any ChannelLayer, _ outcome: Subscription) {
    let isWanted = feed.extras?.arriving.removeValue(forKey: group) == true
    guard outcome == .active else { return }
    guard isWanted, isOpen, feed.membership != nil, !feed.isMember(of: group) else {
      return layer.unsubscribe(from: group)
    }
    join(group, of: layer)
  }

  /// Leaves a group, unless it is one of the route's own, without which the route would not be what it is.
  func leaveFromOutside(_ group: String, of layer: any ChannelLayer) {
    guard let extras = feed.extras else { return }
    if extras.arriving[group] != nil { extras.arriving[group] = false }
    // A client that has asked for the group, and still waits for it, is not let in either.
    if extras.expected[group] != nil { extras.expected[group] = false }
    // Nor is one that a view has just named it.
    extras.standing?.joining.remove(group)
    guard let index = extras.others.firstIndex(where: { $0.group == group }) else { return }
    if index < extras.ofRoute {
      // One that a view has named is left like one that was joined from outside.
      guard extras.identity?.groups.contains(group) == true else { return }
      extras.ofRoute -= 1
    }
    leave(extras.others.remove(at: index), of: layer)
  }
}
