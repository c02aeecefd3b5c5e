package import GatewayConfig
import Logging
import NIOCore

/// The routers, and the routes made ready for sessions and streams, as one immutable value.
///
/// Each worker holds it by one reference, and a session holds its route by one. A route refers to its channel layer and its
/// authenticator, and to nothing of this value.
package final class ServedRoutes: Sendable {
  package let application: ApplicationConfiguration
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
  init(
    _ configuration: Configuration, _ layers: ServedLayers, on loops: any EventLoopGroup,
    failures: UpstreamFailures, views: RouteViews, log: Logger
  ) {
    application = configuration.served
    let authenticators = configuration.authenticators.map {
      Authenticator($0, on: loops, failures: failures, log: log)
    }
    self.authenticators = authenticators
    let permissions = application.permissions(on: loops, failures: failures)
    self.permissions = permissions
    func authenticator(_ rules: RouteAuth?, _ group: GroupConfiguration?) -> RouteAuthenticator? {
      RouteAuthenticator(rules, of: authenticators, asking: permissions, naming: group?.fromView)
    }
    routes = application.webSocketRoutes.map {
      SessionRoute(
        $0, layers, auth: authenticator($0.auth, $0.consumer.group), view: views.view(of: $0), log: log)
    }
    eventRoutes = application.httpRoutes.map {
      EventRoute($0, layers, auth: authenticator($0.auth, $0.events?.group), log: log)
    }
    live = LiveRoutes(routes, eventRoutes.compactMap(\.self))
  }

  /// - Returns: nil for a route whose clients do not authenticate.
  package func authenticator(for rules: RouteAuth?) -> RouteAuthenticator? {
    RouteAuthenticator(rules, of: authenticators, asking: permissions)
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
    on loops: any EventLoopGroup, failures: UpstreamFailures
  ) -> [PermissionConfiguration: PermissionCheck] {
    let rules = webSocketRoutes.map(\.auth) + httpRoutes.map(\.auth)
    let all = Set(rules.compactMap { $0?.permission })
    let checks = all.map { permission in
      let question = permission.question
      let server = UpstreamFetcher(
        question.url, for: .permission(url: question.shownURL), on: loops, failures: failures)
      return (permission, PermissionCheck(permission, server: server, failures: failures))
    }
    return Dictionary(uniqueKeysWithValues: checks)
  }
}
