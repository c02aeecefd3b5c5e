import GatewayConfig
import Logging
import Transport

/// The view of one route, for all workers. It goes on over a reload that does not change how it is asked.
final class RouteView: Sendable {
  let route: String
  let configuration: ViewConfiguration
  let wire: any ViewWire
  let gate: ViewGate
  let links: SharedLinks
  let reports: ViewReports

  init(
    _ configuration: ViewConfiguration, of route: String, failures: UpstreamFailures, log: Logger
  ) {
    self.route = route
    self.configuration = configuration
    wire = configuration.makeWire()
    gate = ViewGate(most: configuration.inFlight)
    links = SharedLinks(configuration.question.url, most: configuration.inFlight)
    reports = ViewReports(of: route, configuration.question, failures: failures, log: log)
  }

  /// For the log.
  var user: UpstreamUser { .view(route: route, url: configuration.question.shownURL) }
}

extension ViewConfiguration {
  /// How its questions are written.
  fileprivate func makeWire() -> any ViewWire {
    switch wire {
    case .json: JSONWire(self)
    case .webSocketOverHTTP: WebSocketOverHTTP(self)
    }
  }
}
