import ChannelLayers
import GatewayConfig

extension ApplicationConfiguration {
  /// Whether a route wants to know who is in groups of the layer.
  func usesPresence(ofLayer alias: String) -> Bool {
    webSocketRoutes.contains { route in
      route.consumer.group.map { $0.presence && $0.layer == alias } ?? false
    }
  }

  /// What the routes use a Redis layer for beside carrying events.
  func uses(ofLayer alias: String) -> RedisLayerUses {
    RedisLayerUses(
      history: groups.contains { $0.layer == alias && $0.history != nil },
      presence: usesPresence(ofLayer: alias))
  }
}
