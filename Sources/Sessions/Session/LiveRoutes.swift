import ChannelLayers
import GatewayConfig
import WebSocketCore

/// A route made ready for sessions or for event streams.
protocol LiveRoute: AnyObject, Sendable {
  var name: String { get }
  /// Nil where it does not matter who the client is.
  var auth: RouteAuthenticator? { get }
  /// Nil for a route without groups.
  var groups: GroupConfiguration? { get }
  /// The channel layer of its groups.
  var layer: (any LayerBackend)? { get }
  /// Whether others may have its sessions join and leave the group.
  func admitsFromOutside(_ group: String) -> Bool

  /// Whether clients of another value of the route can go on by this one.
  func continues(_ other: Self) -> Bool
}

/// The routes of living sessions and streams by name, for those that go on when what is served was exchanged.
package struct LiveRoutes: Sendable {
  private let sessions: [String: SessionRoute]
  private let streams: [String: EventRoute]

  init(_ sessions: [SessionRoute], _ streams: [EventRoute]) {
    self.sessions = Dictionary(sessions.map { ($0.name, $0) }) { first, _ in first }
    self.streams = Dictionary(streams.map { ($0.name, $0) }) { first, _ in first }
  }

  /// - Returns: nil where the route is gone, or means something else to its clients.
  func successor<Route: LiveRoute>(of route: Route) -> Route? {
    let new = sessions[route.name] as? Route ?? streams[route.name] as? Route
    return new.flatMap { $0.continues(route) ? $0 : nil }
  }
}

extension GroupClient {
  var routeName: String { route.name }

  /// Goes on by the route that is served now, or ends where there is none that continues its own.
  func adopt(_ routes: LiveRoutes) {
    guard let new = routes.successor(of: route) else { return close(.restart(code: .serviceRestart)) }
    guard new !== route, isOpen else { return }
    let isNumbered = feed.membership?.route == audience(isFirst: true, isNumbered: true).key
    exchange(for: new)
    moveMemberships(isNumbered: isNumbered)
    replanRechecks()
  }

  /// Moves the client to those who see events in its form, once that is another route's.
  ///
  /// - Parameter isNumbered: whether its frames contain positions.
  private func moveMemberships(isNumbered: Bool) {
    guard let layer else { return }
    for (place, membership) in feed.memberships.enumerated() {
      let isFirst = place == 0
      if isFirst, let replay = feed.replay {
        replay.renderer = audience(isFirst: true, isNumbered: replay.isNumbered).renderer
        continue
      }
      let (key, renderer) = audience(isFirst: isFirst, isNumbered: isFirst && isNumbered)
      layer.groups.move(membership, route: key, renderer: renderer)
    }
    let (key, renderer) = audience(isFirst: true, isNumbered: false)
    feed.extras?.presence?.move(route: key, renderer: renderer)
  }
}
