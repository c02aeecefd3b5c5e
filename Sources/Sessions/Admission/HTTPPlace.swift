import GatewayConfig
package import Routing
import WebSocketCore

/// Where a request leads among the HTTP routes.
struct HTTPPlace {
  var path: RequestPath
  var match: RouteMatch
}

/// What a worker makes of a request; everything else is for the HTTP side.
enum Destination {
  case webSocket
  case stream(EventRoute, HTTPPlace)
}

extension ServedRoutes {
  /// - Returns: nil where no route matches.
  func httpPlace(of target: [UInt8]) -> HTTPPlace? {
    guard case .success(let path) = RequestPath.decode(target: target),
      let match = application.httpRouter.match(path)
    else { return nil }
    return HTTPPlace(path: path, match: match)
  }

  /// The route of an event stream, which the workers serve; nil for a request for anything else.
  private func eventRoute(method: String, at place: HTTPPlace) -> EventRoute? {
    method == "GET" ? eventRoutes[place.match.route] : nil
  }

  /// Whether a request is one for an event stream.
  package func isForEventStream(method: String, target: [UInt8]) -> Bool {
    guard hasEventRoutes, let place = httpPlace(of: target) else { return false }
    return eventRoute(method: method, at: place) != nil
  }

  /// - Parameter place: where the request leads among the HTTP routes, if that was looked up.
  /// - Returns: nil for a request that is for the HTTP side.
  func destination(of request: RequestHead, at place: HTTPPlace?) -> Destination? {
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
