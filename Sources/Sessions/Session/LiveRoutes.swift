import ChannelLayers
import WebSocketCore

/// The routes of living sessions and streams by name, for those that go on when what is served was exchanged.
package struct LiveRoutes: Sendable {
  private let sessions: [String: SessionRoute]
  private let streams: [String: EventRoute]

  init(_ sessions: [SessionRoute], _ streams: [EventRoute]) {
    self.sessions = Dictionary(sessions.map { ($0.name, $0) }) { first, _ in first }
    self.streams = Dictionary(streams.map { ($0.name, $0) }) { first, _ in first }
  }

  /// - Returns: nil where the route is gone, or means something else to its sessions.
  func successor(of route: SessionRoute) -> SessionRoute? {
    sessions[route.name].flatMap { $0.continues(route) ? $0 : nil }
  }

  /// - Returns: nil where the route is gone, or means something else to its streams.
  func successor(of route: EventRoute) -> EventRoute? {
    streams[route.name].flatMap { $0.continues(route) ? $0 : nil }
  }
}

extension Session {
  /// Goes on by the route that is served now, or ends where there is none that continues its own.
  func adopt(_ routes: LiveRoutes) {
    guard let new = routes.successor(of: route) else { return close(.restart(code: .serviceRestart)) }
    guard new !== route, state == .open else { return }
    let isNumbered = membership?.route == audience(isNumbered: true).key
    exchange(for: new)
    moveMemberships(isNumbered: isNumbered)
  }
}

extension EventStream {
  /// Goes on by the route that is served now, or ends where there is none that continues its own.
  func adopt(_ routes: LiveRoutes) {
    guard let new = routes.successor(of: route) else { return close(.restart(code: .serviceRestart)) }
    guard new !== route, isOpen else { return }
    exchange(for: new)
    moveMemberships(isNumbered: true)
  }
}

extension GroupClient {
  /// Moves the client to those who see events in its form, once that is another route's.
  ///
  /// - Parameter isNumbered: whether its frames contain positions.
  fileprivate func moveMemberships(isNumbered: Bool) {
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
