package import ChannelLayers
package import GatewayConfig

extension ApplicationConfiguration {
  /// Whether a route uses presence in groups of the layer.
  func usesPresence(ofLayer alias: String) -> Bool {
    webSocketRoutes.contains { route in
      route.consumer.group.map { $0.presence && $0.layer == alias } ?? false
    }
  }

  /// The features of a layer that the routes use besides events.
  package func uses(ofLayer alias: String) -> LayerUses {
    LayerUses(
      history: groups.contains { $0.layer == alias && $0.history != nil },
      presence: usesPresence(ofLayer: alias))
  }
}
