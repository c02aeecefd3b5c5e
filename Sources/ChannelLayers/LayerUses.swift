/// The features of a layer that the routes of a configuration use, besides events.
package struct LayerUses: Sendable, Hashable {
  /// A route keeps a history of its groups.
  package var history: Bool
  /// A route reports the presence in its groups.
  package var presence: Bool
  /// A route takes orders about sessions that hold for a time.
  package var orders: Bool
  /// A route's view is told the ends of its sessions.
  package var records: Bool

  package init(history: Bool, presence: Bool, orders: Bool = false, records: Bool = false) {
    self.history = history
    self.presence = presence
    self.orders = orders
    self.records = records
  }
}
