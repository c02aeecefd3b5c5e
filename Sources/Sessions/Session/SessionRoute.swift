import ChannelLayers
import Consumers
import GatewayConfig
import Logging
import Transport

/// A WebSocket route made ready for sessions: one value for each route, shared by all workers.
final class SessionRoute: LiveRoute {
  let configuration: WebSocketRoute
  let meaning: ClientRoute
  let consumer: Consumer
  private let lease: LayerLease?
  /// Times in the form that sessions compare.
  let keepAlive: SessionLimits.KeepAlive?
  let sendQueueLimit: Int
  /// Whether some text messages are for the gateway itself (`ControlMessage`), messages are counted, or a view is asked about them: each
  /// is looked at before its consumer gets it.
  let hasControls: Bool
  /// Whether some text messages are for the gateway itself.
  let takesControls: Bool
  /// Whether it makes something of the captures of a path, so that sessions keep them.
  let needsCaptures: Bool
  /// Whether its sessions are told who else is in their group.
  let hasPresence: Bool
  /// Where the route's groups keep a history: for sessions that ask where they are.
  let numbered: NumberedRenderer?
  /// Whether pings alone would not find a client that is gone, or only after longer than for any other connection.
  let hasSlowPings: Bool
  let auth: RouteAuthenticator?
  /// Nil for a route whose consumer asks no view.
  let view: RouteView?
  /// Whether a client may show who it is by a message.
  let takesTokens: Bool
  /// Names the route in the records of its sessions; empty without a view.
  let recordKind: String

  init(
    _ configuration: WebSocketRoute, _ layers: ServedLayers, auth: RouteAuthenticator? = nil,
    view: RouteView? = nil, meaning: ClientRoute? = nil, log: Logger
  ) {
    self.view = view
    self.meaning = meaning ?? ClientRoute(alone: configuration)
    self.configuration = configuration
    self.consumer = Consumer(
      configuration.consumer, report: UnfitEvents.logging(to: log, route: configuration.name))
    lease = configuration.consumer.group.flatMap { layers.lease($0.layer) }
    self.auth = auth
    recordKind = configuration.consumer.view?.recordKind(of: configuration.name) ?? ""
    // Behind a `proxy` route messages are for the upstream.
    takesTokens = configuration.consumer.upstream == nil && auth?.takesMessages == true
    hasPresence = configuration.consumer.group?.presence ?? false
    takesControls = takesTokens || hasPresence || configuration.consumer.group?.subscribe.isEmpty == false
    needsCaptures = configuration.consumer.group?.needsCaptures ?? false
    // A view may be slower than its clients.
    hasControls = takesControls || configuration.limits.countsMessages || configuration.consumer.view != nil
    self.keepAlive = configuration.limits.ping
    hasSlowPings = keepAlive.map { $0.interval + $0.timeout > KeepAliveProbes.bound } ?? true
    self.sendQueueLimit = configuration.limits.sendQueue.bytes
    self.numbered = configuration.consumer.group?.history == nil ? nil : NumberedRenderer(consumer)
  }

  var name: String { configuration.name }
  var layer: (any LayerBackend)? { lease?.layer }
  var groups: GroupConfiguration? { configuration.consumer.group }
  /// The keys of TLS with an upstream are this process's.
  var isBound: Bool { configuration.consumer.upstream?.scheme.isSecure == true }

  /// The shortest time after which a session has to be looked at.
  var wait: Duration {
    min(keepAlive.map { min($0.interval, $0.timeout) } ?? KeepAliveProbes.bound, KeepAliveProbes.bound)
  }
}
