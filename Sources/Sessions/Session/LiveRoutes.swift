import ChannelLayers
import GatewayConfig
import Routing
import WebSocketCore

/// A route made ready for sessions or for event streams.
protocol LiveRoute: AnyObject, Sendable {
  var name: String { get }
  /// What it means to its clients.
  var meaning: ClientRoute { get }
  /// Nil where it does not matter who the client is.
  var auth: RouteAuthenticator? { get }
  /// Nil for a route without groups.
  var groups: GroupConfiguration? { get }
  /// The channel layer of its groups.
  var layer: (any LayerBackend)? { get }
  /// Whether others may have its sessions join and leave the group.
  func admitsFromOutside(_ group: String) -> Bool
  /// Whether its sessions could never be handed over to another program, even over plain connections.
  var isBound: Bool { get }

  /// The route that a path leads to.
  static func find(_ path: RequestPath, in routes: LiveRoutes) -> FoundRoute<Self>?
}

/// A route that a path leads to, and what the path captured there.
struct FoundRoute<Route: LiveRoute> {
  var route: Route
  var captures: Captures
}

/// The routes that living sessions and streams go on by when what is served was exchanged.
package struct LiveRoutes: Sendable {
  private let webSocketRouter: Router
  private let httpRouter: Router
  private let sessions: [SessionRoute]
  /// By HTTP route.
  private let streams: [EventRoute?]
  private let named: [String: SessionRoute]
  private let all: Set<ObjectIdentifier>

  init(_ application: ApplicationConfiguration, _ sessions: [SessionRoute], _ streams: [EventRoute?]) {
    webSocketRouter = application.webSocketRouter
    httpRouter = application.httpRouter
    self.sessions = sessions
    self.streams = streams
    all = Set(sessions.map(ObjectIdentifier.init) + streams.compactMap { $0.map(ObjectIdentifier.init) })
    named = Dictionary(sessions.map { ($0.name, $0) }) { first, _ in first }
  }

  func session(at path: RequestPath) -> FoundRoute<SessionRoute>? {
    webSocketRouter.match(path).map { FoundRoute(route: sessions[$0.route], captures: $0.captures) }
  }

  func stream(at path: RequestPath) -> FoundRoute<EventRoute>? {
    guard let match = httpRouter.match(path), let stream = streams[match.route] else { return nil }
    return FoundRoute(route: stream, captures: match.captures)
  }

  func owns(_ route: some LiveRoute) -> Bool { all.contains(ObjectIdentifier(route)) }

  /// The route of this name: for the views of sessions that have ended.
  func session(named name: String) -> SessionRoute? { named[name] }

  func stream(named name: String) -> EventRoute? { streams.lazy.compactMap(\.self).first { $0.name == name } }
}

extension SessionRoute {
  static func find(_ path: RequestPath, in routes: LiveRoutes) -> FoundRoute<SessionRoute>? {
    routes.session(at: path)
  }
}

extension EventRoute {
  static func find(_ path: RequestPath, in routes: LiveRoutes) -> FoundRoute<EventRoute>? {
    routes.stream(at: path)
  }
}
