import Routing

/// What a channel layer is made for, besides events: decided when it is made, from the routes of then.
package struct LayerFeatures: Sendable, Hashable {
  /// What needs keys, rights or tasks of its own in Redis.
  package enum Feature: String, Sendable, Hashable, CaseIterable {
    case presence
    case records = "ends of sessions for views"
    case orders = "orders about sessions"
    case timedOrders = "orders that hold for a time"
  }

  let alias: String
  /// None for a layer in memory, which has all of them.
  let features: Set<Feature>
  let histories: [KeptHistory]

  package init(_ layer: ChannelLayerConfiguration, for application: ApplicationConfiguration) {
    alias = layer.alias
    // Routes may share a group.
    histories = application.histories(on: layer.alias).unique
    guard layer.isShared else {
      features = []
      return
    }
    features = Set(Feature.allCases.filter { application.uses($0, on: layer.alias) })
  }

  /// What other features have, and these do not.
  func missing(from other: LayerFeatures) -> [SettingChange] {
    let lacking = Feature.allCases.filter { other.features.contains($0) && !features.contains($0) }
    return lacking.map { change(from: "without \($0.rawValue)", to: "with \($0.rawValue)") }
      + other.histories.filter { !histories.contains($0) }.map { history in
        let same = histories.first { $0.pattern == history.pattern }
        return change(
          from: same.map { "history of \($0.text)" } ?? "no history of \(history.pattern.text)",
          to: "history of \(history.text)")
      }
  }

  private func change(from old: String, to new: String) -> SettingChange {
    SettingChange(key: "channel_layers.\(alias)", old: old, new: new, need: .upgrade, isBlocking: true)
  }
}

extension ApplicationConfiguration {
  /// Whether the routes use a feature of a layer.
  package func uses(_ feature: LayerFeatures.Feature, on alias: String) -> Bool {
    switch feature {
    case .presence: groups.contains { $0.layer == alias && $0.presence }
    case .records: keepsRecords(on: alias)
    case .orders: takesOrders
    case .timedOrders: takesTimedOrders
    }
  }
}

extension ChannelLayerConfiguration {
  fileprivate var isShared: Bool { if case .redis = backend { true } else { false } }
}
