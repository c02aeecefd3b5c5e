package import ChannelLayers
import Consumers
package import GatewayConfig
import Logging

/// What is served, as one immutable value: the routers, and the routes made ready for sessions and streams.
///
/// Each worker holds it by one reference, and a session holds its route by one. A route refers to its channel layer, which outlives what
/// is served, and to nothing of this value.
package final class ServedApplication: Sendable {
  package let application: ApplicationConfiguration
  package let authenticators: Authenticators
  /// By WebSocket route.
  let routes: [SessionRoute]
  /// By HTTP route; nil if the route is not an event stream.
  package let eventRoutes: [EventRoute?]
  let hasEventRoutes: Bool

  init(_ configuration: Configuration, _ layers: ServedLayers, failures: UpstreamFailures, log: Logger) {
    application = configuration.served
    let authenticators = Authenticators(configuration.authenticators, failures: failures, log: log)
    self.authenticators = authenticators
    routes = application.webSocketRoutes.map {
      SessionRoute($0, layers, takesTokens: authenticators.takeMessages(on: $0), log: log)
    }
    eventRoutes = application.httpRoutes.map { EventRoute($0, layers, log: log) }
    hasEventRoutes = eventRoutes.contains { $0 != nil }
  }

  /// The groups of all routes on the layer.
  package func groups(of layer: any LayerBackend) -> [GroupConfiguration] {
    let sessions = routes.filter { $0.layer === layer }.compactMap(\.consumer.groups)
    let streams = eventRoutes.compactMap(\.self).filter { $0.layer === layer }
    return sessions + streams.map(\.configuration.group)
  }
}
