package import Routing

extension ApplicationConfiguration {
  /// For a path that no WebSocket route matches: the route that matches it with a "/" added at its end, or removed, or with
  /// another value in one segment. For a path whose group name is not valid: the template of that group.
  package func webSocketRouteHint(_ path: RequestPath) -> String? {
    if let match = webSocketRouter.match(path) {
      let route = webSocketRoutes[match.route]
      return Self.hint(for: match.captures, route.consumer.group?.templates ?? [], route.name)
    }
    return hint(for: path, among: webSocketRouter) { webSocketRoutes[$0].name }
  }

  /// The same for the target of a request, also for one of an event stream. Meant for the log, whose lines are limited in number,
  /// because it takes as long as some matches.
  package func webSocketRouteHint(_ target: [UInt8]) -> String? {
    guard case .success(let path) = RequestPath.decode(target: target) else { return nil }
    return webSocketRouteHint(path) ?? eventGroupHint(path)
  }

  /// The same for HTTP routes.
  package func httpRouteHint(_ path: RequestPath) -> String? {
    eventGroupHint(path) ?? hint(for: path, among: httpRouter) { httpRoutes[$0].name }
  }

  private func eventGroupHint(_ path: RequestPath) -> String? {
    guard let match = httpRouter.match(path), let events = httpRoutes[match.route].events else { return nil }
    return Self.hint(for: match.captures, events.group.templates, httpRoutes[match.route].name)
  }

  private func hint(for path: RequestPath, among router: Router, _ name: (Int) -> String) -> String? {
    if let found = router.routeWithOtherSlash(path) {
      let end = path.bytes.last == UInt8(ascii: "/") ? "without the \"/\"" : "with a \"/\""
      return "\(end) at its end the path is one of the route \"\(name(found.route))\""
    }
    guard let found = router.routeWithOtherSegment(path) else { return nil }
    let capture = found.capture
    let place = capture.converter.map { "<\($0):\(capture.name)>" } ?? "the capture \"\(capture.name)\""
    let values = capture.converter.map { "takes \($0.values)" } ?? "does not take this value"
    return "\(place) of the route \"\(name(found.route))\" \(values)"
  }

  /// For a path that a route matches, if one of its groups has no valid name for any client.
  private static func hint(for captures: Captures, _ templates: [GroupPattern], _ route: String) -> String? {
    guard let template = templates.first(where: { $0.name(for: captures) { _ in "x" } == nil }) else {
      return nil
    }
    return
      "the group \"\(template.text)\" of the route \"\(route)\" has no valid name for this path: 1 to \(GroupName.longest) of A-Z a-z 0-9 . _ -"
  }
}

extension PathConverter {
  /// The values that it takes, in words.
  fileprivate var values: String {
    switch self {
    case .int: "digits"
    case .str: "any text without \"/\""
    case .slug: "letters, digits, \"-\" and \"_\""
    case .uuid: "a UUID in lower case"
    case .path: "any text"
    }
  }
}
