import GatewayConfig
import Logging
import NIOCore

/// What is served, as one immutable value: the routers, and the routes made ready for sessions, streams and requests.
///
/// The gateway and each worker hold it by one reference, a session holds its route by one, and an HTTP request takes it once. A
/// route refers to its channel layer and its authenticator, and to nothing of this value.
final class ServedApplication: Sendable {
  let application: ApplicationConfiguration
  private let authenticators: [Authenticator]
  /// By WebSocket route.
  let routes: [SessionRoute]
  /// By HTTP route.
  let handlers: [HTTPHandler]
  let hasEventRoutes: Bool
  let liveRoutes: LiveRoutes

  /// What every served value uses, and what outlives it.
  struct Surroundings: Sendable {
    let layers: GatewayLayers
    let publisher: Publisher
    /// For connections to upstreams.
    let loops: any EventLoopGroup
    let upstreamFailures: UpstreamFailures
    let httpRefusals: HTTPRefusals
    let sendMemory: MemoryBound
    /// `limits.handshake`
    let handshake: Duration
    let log: Logger
  }

  init(_ configuration: Configuration, in surroundings: Surroundings) {
    let application = configuration.served
    self.application = application
    let (layers, log) = (surroundings.layers, surroundings.log)
    let authenticators = configuration.authenticators.map {
      Authenticator($0, on: surroundings.loops, failures: surroundings.upstreamFailures, log: log)
    }
    self.authenticators = authenticators
    func authenticator(_ rules: RouteAuth?) -> RouteAuthenticator? {
      rules.map { RouteAuthenticator($0, of: authenticators) }
    }
    routes = application.webSocketRoutes.map {
      SessionRoute($0, layers, auth: authenticator($0.auth), log: log)
    }
    let ready = application.httpRoutes.map {
      HTTPHandler($0, auth: authenticator($0.auth), of: application, in: surroundings)
    }
    handlers = ready
    let streams = ready.compactMap { if case .events(let route) = $0 { route } else { nil } }
    hasEventRoutes = !streams.isEmpty
    liveRoutes = LiveRoutes(routes, streams)
  }

  /// Closes the connections to upstreams, before the end of their event loops.
  func shutDown() async throws {
    for authenticator in authenticators { try await authenticator.server?.shutDown() }
    for case .proxy(let proxy) in handlers { try await proxy.shutDown() }
  }
}

/// An HTTP route's action, made ready for requests.
enum HTTPHandler: Sendable {
  case files(StaticFiles)
  case respond(FixedResponse)
  case redirect(TextTemplate, status: Int)
  case proxy(ReverseProxy)
  case publish(PublishEndpoint)
  case health(HealthProbe)
  /// Workers serve the streams; HTTP answers what asks for none.
  case events(EventRoute)

  init(
    _ route: HTTPRoute, auth: RouteAuthenticator?, of application: ApplicationConfiguration,
    in surroundings: ServedApplication.Surroundings
  ) {
    switch route.action {
    case .staticFiles(let directory, let fallback):
      self = .files(
        StaticFiles(
          directory: directory, fallback: fallback, memory: surroundings.sendMemory.budget,
          log: surroundings.log))
    case .respond(let fixed): self = .respond(fixed)
    case .redirect(let target, let status): self = .redirect(target, status: status)
    case .proxy(let upstream):
      self = .proxy(
        ReverseProxy(
          upstream, on: surroundings.loops, failures: surroundings.upstreamFailures,
          memory: surroundings.sendMemory, route: route.name))
    case .publish(let publish):
      self = .publish(
        PublishEndpoint(publish, auth: auth, route: route.name, of: application, in: surroundings))
    case .health(let probe): self = .health(probe)
    case .events(let stream):
      self = .events(
        EventRoute(stream, of: route.name, surroundings.layers, auth: auth, log: surroundings.log))
    }
  }
}
