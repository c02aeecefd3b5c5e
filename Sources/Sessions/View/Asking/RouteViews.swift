import GatewayConfig
import Logging
import Synchronization

/// The views of all routes that are served, by the name of the route.
final class RouteViews: Sendable {
  private let known = Mutex<[String: RouteView]>([:])
  private let failures: UpstreamFailures
  private let log: Logger

  init(failures: UpstreamFailures, log: Logger) {
    self.failures = failures
    self.log = log
  }

  /// The one that the route has already, if it is asked in the same way: its questions under way and what is known of it count on.
  ///
  /// - Returns: nil for a route whose consumer asks none.
  func view(of route: WebSocketRoute) -> RouteView? {
    guard let configuration = route.consumer.view else { return nil }
    if let view = known.withLock({ $0[route.name] }), view.configuration == configuration { return view }
    return RouteView(configuration, of: route.name, failures: failures, log: log)
  }

  /// Reads the files of authorities again.
  func renewTrust() {
    for view in known.withLock(\.self).values { view.links.renewTrust() }
  }

  /// Those that are asked from now on.
  func keep(_ routes: [SessionRoute]) {
    let views = routes.compactMap { route in route.view.map { (route.name, $0) } }
    known.withLock { $0 = Dictionary(views) { first, _ in first } }
  }
}
