import GatewayConfig
package import Routing
package import WebSocketCore

/// Where a request leads among the HTTP routes.
package struct HTTPPlace {
  package var path: RequestPath
  package var match: RouteMatch
}

/// What becomes a session or a stream; every other request is a plain one.
package enum Destination {
  case webSocket
  case stream(EventRoute, HTTPPlace)
}

extension ServedRoutes {
  /// - Returns: nil where no route matches.
  package func httpPlace(of target: [UInt8]) -> HTTPPlace? {
    guard case .success(let path) = RequestPath.decode(target: target),
      let match = application.httpRouter.match(path)
    else { return nil }
    return HTTPPlace(path: path, match: match)
  }

  /// The route of an event stream; nil for a request for anything else.
  private func eventRoute(method: String, at place: HTTPPlace) -> EventRoute? {
    method == "GET" ? eventRoutes[place.match.route] : nil
  }

  /// - Parameter place: where the request leads among the HTTP routes, if that was looked up.
  /// - Returns: nil for a plain request.
  package func destination(of request: RequestHead, at place: HTTPPlace?) -> Destination? {
    if let place, let route = eventRoute(method: request.method, at: place) { return .stream(route, place) }
    return request.fields.wantWebSocket ? .webSocket : nil
  }
}

extension RequestPath {
  /// Whether a server behind a proxied route could read the path as one of another route, for which something holds: that it needs
  /// authentication.
  package func isReadElsewhere(
    by router: Router, than match: RouteMatch, where holds: (_ route: Int) -> Bool
  ) -> Bool {
    otherReadings.contains { reading in
      guard let other = router.match(reading), other.route != match.route else { return false }
      return holds(other.route)
    }
  }
}
