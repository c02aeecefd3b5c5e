/// The features of a layer that the routes of a configuration use, besides events.
package struct LayerUses: Sendable, Hashable {
  /// A route keeps a history of its groups.
  package var history: Bool
  /// A route reports the presence in its groups.
  package var presence: Bool

  package init(history: Bool, presence: Bool) {
    self.history = history
    self.presence = presence
  }
}
