package import GatewayConfig
import Logging
import NIOCore

/// The routers, and the routes made ready for sessions and streams, as one immutable value.
///
/// Each worker holds it by one reference, and a session holds its route by one. A route refers to its channel layer and its
/// authenticator, and to nothing of this value.
package final class ServedRoutes: Sendable {
  package let application: ApplicationConfiguration
  package let server: ServerConfiguration
  /// `logging.sessions`
  let logsSessions: Bool
  package let layers: ServedLayers
  private let entries: [AuthenticatorConfiguration]
  private let authenticators: [Authenticator]
  /// One for all routes that ask the same view in the same way.
  private let permissions: [PermissionConfiguration: PermissionCheck]
  /// By WebSocket route.
  let routes: [SessionRoute]
  /// By HTTP route; nil if the route is not an event stream.
  package let eventRoutes: [EventRoute?]
  let live: LiveRoutes

  /// - Parameters:
  ///   - loops: for connections to authentication servers.
  ///   - views: those of the routes that are served already.
  ///   - previous: what is served until then. What it knows of users, and of keys that it has fetched, stays known.
  init(
    _ configuration: Configuration, _ layers: ServedLayers, on loops: any EventLoopGroup,
    failures: UpstreamFailures, views: RouteViews, after previous: ServedRoutes? = nil, log: Logger
  ) {
    application = configuration.served
    server = configuration.server
    logsSessions = configuration.logging.sessions
    self.layers = layers
    entries = configuration.authenticators
    let authenticators = configuration.authenticators.map { entry in
      previous?.authenticator(like: entry) ?? Authenticator(entry, on: loops, failures: failures, log: log)
    }
    self.authenticators = authenticators
    let permissions = application.permissions(on: loops, failures: failures, after: previous?.permissions)
    self.permissions = permissions
    func authenticator(_ rules: RouteAuth?, _ group: GroupConfiguration?) -> RouteAuthenticator? {
      RouteAuthenticator(rules, of: authenticators, asking: permissions, naming: group?.fromView)
    }
    let meanings = application.clientRoutes(of: configuration)
    routes = zip(application.webSocketRoutes, meanings).map { route, meaning in
      SessionRoute(
        route, layers, auth: authenticator(route.auth, route.consumer.group), view: views.view(of: route),
        meaning: meaning, log: log)
    }
    let streams = application.streamRoutes(of: configuration)
    eventRoutes = zip(application.httpRoutes, streams).map { route, meaning in
      EventRoute(
        route, layers, auth: authenticator(route.auth, route.events?.group), meaning: meaning, log: log)
    }
    live = LiveRoutes(application, routes, eventRoutes)
  }

  /// - Returns: nil for a route whose clients do not authenticate.
  package func authenticator(for rules: RouteAuth?) -> RouteAuthenticator? {
    RouteAuthenticator(rules, of: authenticators, asking: permissions)
  }

  /// The authenticator of an entry that says the same, unless it has read files at its start that may be others now.
  private func authenticator(like entry: AuthenticatorConfiguration) -> Authenticator? {
    entries.firstIndex { $0.name == entry.name && $0.kind == entry.kind && !$0.readsAuthorities }
      .map { authenticators[$0] }
  }

  /// After how long sessions and streams have to be looked at, for each route.
  var waits: [Duration] { routes.map(\.wait) + eventRoutes.compactMap { $0?.wait } }

  /// Closes the connections to authentication servers, before the end of their event loops.
  package func shutDown() async throws {
    for authenticator in authenticators { try await authenticator.server?.shutDown() }
    for permission in permissions.values { try await permission.questions.server.shutDown() }
  }
}

extension ApplicationConfiguration {
  fileprivate func permissions(
    on loops: any EventLoopGroup, failures: UpstreamFailures,
    after previous: [PermissionConfiguration: PermissionCheck]?
  ) -> [PermissionConfiguration: PermissionCheck] {
    let rules = webSocketRoutes.map(\.auth) + httpRoutes.map(\.auth)
    let all = Set(rules.compactMap { $0?.permission })
    let checks = all.map { permission in
      let question = permission.question
      if question.url.trust.authorities == nil, let known = previous?[permission] {
        return (permission, known)
      }
      let server = UpstreamFetcher(
        question.url, for: .permission(url: question.shownURL), on: loops, failures: failures)
      return (permission, PermissionCheck(permission, server: server, failures: failures))
    }
    return Dictionary(uniqueKeysWithValues: checks)
  }
}

extension AuthenticatorConfiguration {
  /// Whether it trusts authorities of a file.
  fileprivate var readsAuthorities: Bool {
    switch kind {
    case .jwt(let jwt):
      if case .set(.url(let url), _) = jwt.keys { url.trust.authorities != nil } else { false }
    case .callback(let callback): callback.question.url.trust.authorities != nil
    }
  }
}
