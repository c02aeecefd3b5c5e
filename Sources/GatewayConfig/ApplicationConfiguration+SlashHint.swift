package import Routing

extension ApplicationConfiguration {
  /// For a path that no WebSocket route matches: the route that matches it with a "/" added at its end, or removed.
  package func webSocketRouteHint(_ path: RequestPath) -> String? {
    webSocketRouter.routeWithOtherSlash(path).map { found in
      Self.hint(for: path, webSocketRoutes[found.route].name)
    }
  }

  /// The same for the target of a request. Meant for the log, whose lines are limited in number, because it takes as long as
  /// another match.
  package func webSocketRouteHint(_ target: [UInt8]) -> String? {
    guard case .success(let path) = RequestPath.decode(target: target) else { return nil }
    return webSocketRouteHint(path)
  }

  /// The same for HTTP routes.
  package func httpRouteHint(_ path: RequestPath) -> String? {
    httpRouter.routeWithOtherSlash(path).map { found in Self.hint(for: path, httpRoutes[found.route].name) }
  }

  private static func hint(for path: RequestPath, _ route: String) -> String {
    let end = path.bytes.last == UInt8(ascii: "/") ? "without the \"/\"" : "with a \"/\""
    return "\(end) at its end the path is one of the route \"\(route)\""
  }
}
