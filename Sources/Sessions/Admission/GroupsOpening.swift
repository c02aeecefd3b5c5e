import ChannelLayers

/// Subscribes a session's reactor to its groups: to all of them, or to none.
final class GroupsOpening {
  let layer: any ChannelLayer
  let groups: [String]
  private var unanswered = 0
  private var refused: Set<String> = []
  /// Whether this object has to end the subscriptions, because no session has taken them over.
  private var isOwner = true
  private var completed: ((Subscription) -> Void)?

  init(_ groups: [String], of layer: any ChannelLayer) {
    self.groups = groups
    self.layer = layer
  }

  /// - Parameter completed: called once, at once or later on the reactor; not after `abandon`.
  func start(_ completed: @escaping (Subscription) -> Void) {
    self.completed = completed
    unanswered = groups.count
    for group in groups {
      layer.subscribe(to: group) { [self] outcome in answered(group, outcome) }
    }
  }

  /// The session that joins the groups ends the subscriptions from now on.
  func handOver() {
    isOwner = false
  }

  /// Ends all subscriptions.
  func abandon() {
    completed = nil
    guard isOwner else { return }
    isOwner = false
    // A refused subscription has not begun.
    for group in groups where !refused.contains(group) { layer.unsubscribe(from: group) }
  }

  private func answered(_ group: String, _ outcome: Subscription) {
    if outcome == .unavailable { refused.insert(group) }
    unanswered -= 1
    guard unanswered == 0, let completed else { return }
    self.completed = nil
    if refused.isEmpty { return completed(.active) }
    abandon()
    completed(.unavailable)
  }
}
