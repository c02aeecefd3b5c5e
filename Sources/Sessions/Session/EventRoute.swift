import ChannelLayers
import Consumers
package import GatewayConfig
import Logging
import Transport

/// An `events` route made ready for streams: one value for each route, shared by all workers.
package final class EventRoute: LiveRoute {
  let name: String
  let meaning: ClientRoute
  package let configuration: EventStreamConfiguration
  let auth: RouteAuthenticator?
  /// For the first of its groups, whose history a client can go on with.
  let renderer: EventStreamRenderer
  let rendererOfOthers: EventStreamRenderer
  private let lease: LayerLease?
  /// In nanoseconds, as streams compare it.
  let heartbeat: UInt64
  /// How long a client may owe the system an answer before it is taken to be gone: three heartbeats, but no longer than any connection. In
  /// nanoseconds.
  let silence: UInt64
  /// The shortest time after which a stream has to be looked at.
  let wait: Duration
  let sendQueueLimit: Int

  /// - Returns: nil where the route sends no events.
  init?(
    _ route: HTTPRoute, _ layers: ServedLayers, auth: RouteAuthenticator?, meaning: ClientRoute? = nil,
    log: Logger
  ) {
    guard let events = route.events, let meaning = meaning ?? ClientRoute(alone: route) else { return nil }
    self.meaning = meaning
    name = route.name
    configuration = events
    self.auth = auth
    renderer = EventStreamRenderer(
      events.group, showsPosition: true, report: UnfitEvents.logging(to: log, route: route.name))
    rendererOfOthers = renderer.withoutPositions
    lease = layers.lease(events.group.layer)
    heartbeat = events.heartbeat.wholeNanoseconds
    silence = min(heartbeat * 3, KeepAliveProbes.bound.wholeNanoseconds)
    wait = min(events.heartbeat, KeepAliveProbes.bound)
    sendQueueLimit = events.sendQueue.bytes
  }

  var groups: GroupConfiguration? { configuration.group }
  var isBound: Bool { false }
  var layer: (any LayerBackend)? { lease?.layer }
}
