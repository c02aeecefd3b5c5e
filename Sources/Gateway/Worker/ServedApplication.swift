import GatewayConfig
import Routing
import Sessions
import Transport

/// What is served, as one immutable value: the routes of sessions and streams, and the answers of HTTP.
///
/// The gateway holds it by one reference, and an HTTP request takes it once. Each worker holds its routes.
final class ServedApplication: Sendable {
  let routes: ServedRoutes
  /// By HTTP route.
  let handlers: [HTTPHandler]

  /// What every served value uses, and what outlives it.
  struct Surroundings: Sendable {
    let process: ProcessState
    let layers: GatewayLayers
    let publisher: Publisher
    let httpRefusals: HTTPRefusals
  }

  init(_ routes: ServedRoutes, in surroundings: Surroundings) {
    self.routes = routes
    handlers = routes.application.httpRoutes.indices.map { HTTPHandler($0, of: routes, in: surroundings) }
  }

  var application: ApplicationConfiguration { routes.application }

  /// What a request is for: nil where no route matches, and for CONNECT and the server as a whole, which are for none.
  ///
  /// - Parameter place: where the target leads among the HTTP routes.
  func handler(method: String, target: [UInt8], at place: HTTPPlace?) -> HTTPHandler? {
    guard let place, method != "CONNECT", target != [UInt8(ascii: "*")] else { return nil }
    return handlers[place.match.route]
  }

  /// Closes the connections to upstreams, before the end of their event loops.
  func shutDown() async throws {
    try await routes.shutDown()
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
  /// Sessions of their own; a plain request is one that asks for no stream.
  case events(EventRoute)

  /// Whether the HTTP service answers its requests, and not the reactor that reads them.
  var isOfService: Bool {
    switch self {
    case .files, .proxy: true
    case .respond, .redirect, .publish, .health, .events: false
    }
  }

  fileprivate init(_ index: Int, of routes: ServedRoutes, in surroundings: ServedApplication.Surroundings) {
    let (process, route) = (surroundings.process, routes.application.httpRoutes[index])
    switch route.action {
    case .staticFiles(let directory, let fallback):
      self = .files(
        StaticFiles(
          directory: directory, fallback: fallback, memory: process.sendMemory.budget, log: process.log))
    case .respond(let fixed): self = .respond(fixed)
    case .redirect(let target, let status): self = .redirect(target, status: status)
    case .proxy(let upstream):
      self = .proxy(
        ReverseProxy(
          upstream, on: process.loops, failures: process.upstreamFailures, memory: process.sendMemory,
          route: route.name))
    case .publish(let publish):
      self = .publish(
        PublishEndpoint(
          publish, auth: routes.authenticator(for: route.auth), route: route.name, of: routes,
          in: surroundings))
    case .health(let probe): self = .health(probe)
    case .events:
      guard let stream = routes.eventRoutes[index] else {
        preconditionFailure("every route of events was made ready for streams")
      }
      self = .events(stream)
    }
  }
}
