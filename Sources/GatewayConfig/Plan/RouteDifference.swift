import Routing

/// A route of one of two files, as a comparison names it.
package struct NamedRoute: Sendable, Hashable {
  /// Its index in its table.
  package var index: Int
  /// `name:`, or the path as written.
  package var name: String
  /// The path as written, preceded by all outer patterns.
  package var path: String
  package var range: SourceRange
}

/// A key with another value, in a route or outside of one.
package struct OptionChange: Sendable, Hashable {
  /// As it is written in the file.
  package var key: String
  /// The values as texts, never a secret; nil where there is no short text that tells them apart.
  package var old: String?
  package var new: String?
}

/// What becomes of all paths that the same old route and the same new route answer.
package struct RouteDifference: Sendable {
  package enum Effect: Sendable, Hashable {
    /// No route answered these paths before.
    case added
    /// No route answers them any more.
    case removed
    /// The route that answered them is still there, or has another name, and means something else.
    case changed
    /// Another route answers them, and the one that answered them before answers other paths, or the other one did.
    case moved
    /// Nothing is different.
    case same
  }

  package var kind: RouteKind
  package var old: NamedRoute?
  package var new: NamedRoute?
  /// The shortest of the paths, without the slash at its beginning; nil where only the names of the routes are known to be equal.
  package var example: String?
  /// Whether the automata of the tables show that these paths are answered so. If false, a table was too large, and routes with one
  /// name are compared.
  package var isProved: Bool
  package var effect: Effect
  /// Whether the route answers other paths in both files: it was made wider or narrower, or another one took paths from it.
  package var isPart = false
  /// The keys that differ, in the order of the reference.
  package var changes: [OptionChange] = []
  /// What can become of clients that are connected by the old route, the worst first; empty where no route of the old file keeps
  /// clients connected.
  package var outcomes: [ClientVerdict] = []
  /// Whether clients of one route are told different things, and only a client itself shows which.
  package var isMixed: Bool { outcomes.count > 1 }

  /// Whether some clients that are connected by the old route may be closed.
  package var closesSessions: Bool {
    outcomes.contains { if case .closes = $0 { true } else { false } }
  }

  /// The example as a path of a URL, to be printed.
  package var shownExample: String? { example.map { "/" + $0 } }
}

/// The routes of one table, as a comparison needs them: of WebSocket routes and of HTTP routes alike.
struct ComparedTable {
  struct Route {
    var named: NamedRoute
    var path: RoutePath
    var kind: Kind
    var auth: RouteAuth?
    /// The entry of `auth:` that it names.
    var entry: AuthenticatorConfiguration?
    /// Nil where clients do not stay connected.
    var client: ClientRoute?

    /// Whether it has a name of its own.
    var isNamed: Bool { named.name != named.path }
  }

  enum Kind {
    case webSocket(WebSocketRoute)
    case http(HTTPRoute)
  }

  let kind: RouteKind
  let router: Router
  let routes: [Route]

  static func webSocket(_ configuration: Configuration) -> ComparedTable {
    let served = configuration.served
    let clients = served.clientRoutes(of: configuration)
    let router = served.webSocketRouter
    return ComparedTable(
      kind: .webSocket, router: router,
      routes: served.webSocketRoutes.enumerated().map { index, route in
        Route(
          .webSocket(route), index, name: route.name, at: route.range, router.routes[index], auth: route.auth,
          client: clients[index], of: configuration)
      })
  }

  static func http(_ configuration: Configuration) -> ComparedTable {
    let served = configuration.served
    let clients = served.streamRoutes(of: configuration)
    let router = served.httpRouter
    return ComparedTable(
      kind: .http, router: router,
      routes: served.httpRoutes.enumerated().map { index, route in
        Route(
          .http(route), index, name: route.name, at: route.range, router.routes[index], auth: route.auth,
          client: clients[index], of: configuration)
      })
  }
}

extension ComparedTable.Route {
  fileprivate init(
    _ kind: ComparedTable.Kind, _ index: Int, name: String, at range: SourceRange, _ path: RoutePath,
    auth: RouteAuth?, client: ClientRoute?, of configuration: Configuration
  ) {
    self.init(
      named: .init(index: index, name: name, path: path.text, range: range), path: path, kind: kind,
      auth: auth,
      entry: configuration.entry(of: auth), client: client)
  }
}

extension Configuration {
  fileprivate func entry(of auth: RouteAuth?) -> AuthenticatorConfiguration? {
    auth.map { authenticators[$0.authenticator] }
  }

  /// Whether the entries of `auth` that routes name are there. Those of a public key that could not be read are not.
  package var hasAllAuthenticators: Bool {
    let routes = served.webSocketRoutes.compactMap(\.auth) + served.httpRoutes.compactMap(\.auth)
    return routes.allSatisfy { authenticators.indices.contains($0.authenticator) }
  }
}
