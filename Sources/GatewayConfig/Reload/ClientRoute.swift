package import Routing

/// What a route means to the clients that are connected by it: a WebSocket route, or an HTTP route with an event stream.
///
/// Two of them can be compared, also across two files: see `RouteChange`.
package struct ClientRoute: Sendable {
  package enum Kind: Sendable {
    case webSocket(WebSocketRoute)
    case stream(EventStreamConfiguration)
  }

  package var name: String
  package var kind: Kind
  /// The path as written, preceded by all outer patterns. Where two are equal, a path has the same captures by both.
  package var path: RoutePath?
  /// Nil if clients do not authenticate.
  package var auth: RouteAuth?
  /// The entry of `auth:` that `auth` names.
  package var entry: AuthenticatorConfiguration?
  package var origins: OriginPolicy
  /// The layer of its groups; nil for a route without groups.
  package var layer: ChannelLayerConfiguration?

  /// - Parameters:
  ///   - path: of the route in the router of its application.
  ///   - configuration: of the file that the route is in.
  package init(_ route: WebSocketRoute, at path: RoutePath?, of configuration: Configuration) {
    self.init(
      name: route.name, .webSocket(route), at: path, auth: route.auth, origins: route.origins,
      of: configuration)
  }

  /// - Returns: nil where the route is no event stream.
  package init?(_ route: HTTPRoute, at path: RoutePath?, of configuration: Configuration) {
    guard let stream = route.events else { return nil }
    self.init(
      name: route.name, .stream(stream), at: path, auth: route.auth, origins: stream.origins,
      of: configuration)
  }

  /// Those without the file that they are in: they are compared only with what they say themselves.
  package init(alone route: WebSocketRoute) {
    (name, kind, auth, origins) = (route.name, .webSocket(route), route.auth, route.origins)
  }

  package init?(alone route: HTTPRoute) {
    guard let stream = route.events else { return nil }
    (name, kind, auth, origins) = (route.name, .stream(stream), route.auth, stream.origins)
  }

  private init(
    name: String, _ kind: Kind, at path: RoutePath?, auth: RouteAuth?, origins: OriginPolicy,
    of configuration: Configuration
  ) {
    self.name = name
    self.kind = kind
    self.path = path
    self.auth = auth
    self.origins = origins
    entry = auth.map { configuration.authenticators[$0.authenticator] }
    layer = groups.flatMap { groups in configuration.channelLayers.first { $0.alias == groups.layer } }
  }

  /// Nil for a route without groups.
  package var groups: GroupConfiguration? {
    switch kind {
    case .webSocket(let route): route.consumer.group
    case .stream(let stream): stream.group
    }
  }

  /// Nil for an event stream.
  package var consumer: ConsumerConfiguration? {
    switch kind {
    case .webSocket(let route): route.consumer
    case .stream: nil
    }
  }

  /// The captures that somebody was asked about when the client came in: whether it may be there depends on them.
  var askedCaptures: [String] {
    (auth?.permission?.question.places ?? []) + (auth?.placedCallback?.places ?? [])
  }
}

extension ApplicationConfiguration {
  /// The WebSocket routes as their clients see them, by their index.
  package func clientRoutes(of configuration: Configuration) -> [ClientRoute] {
    webSocketRoutes.enumerated().map { index, route in
      ClientRoute(route, at: webSocketRouter.routes[index], of: configuration)
    }
  }

  /// The HTTP routes as clients of event streams see them, by their index; nil for any other route.
  package func streamRoutes(of configuration: Configuration) -> [ClientRoute?] {
    httpRoutes.enumerated().map { index, route in
      ClientRoute(route, at: httpRouter.routes[index], of: configuration)
    }
  }
}
