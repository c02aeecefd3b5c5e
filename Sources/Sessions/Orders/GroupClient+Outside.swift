import ChannelLayers
import Consumers

// Groups that others have a client join, and leave again. The client is told nothing of it.

extension GroupClient {
  /// Joins a group behind those of the route, once its events come. Does nothing if the client is in it, or is in too many.
  ///
  /// - Parameter group: one that the route admits.
  func joinFromOutside(_ group: String, of layer: any ChannelLayer) {
    guard !feed.isMember(of: group), feed.hasRoom(for: group) else { return }
    joinLater(group, for: .others, of: layer)
  }

  /// Leaves a group, unless it is one of the route's own, without which the route would not be what it is.
  func leaveFromOutside(_ group: String, of layer: any ChannelLayer) {
    guard let extras = feed.extras else { return }
    // A client that waits for the group is not let in either, whoever wanted that.
    extras.awaited.withdraw(.everybody, for: group)
    if isFirstByChance(group) { _ = leaveForView(group) }
    guard let index = extras.others.firstIndex(where: { $0.group == group }) else { return }
    if index < extras.ofRoute {
      // One that a view has named is left like one that was joined from outside.
      guard extras.identity?.groups.contains(group) == true else { return }
      extras.ofRoute -= 1
    }
    leave(extras.others.remove(at: index), of: layer)
  }
}
