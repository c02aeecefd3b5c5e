import GatewayConfig
import Routing

extension UpstreamConfiguration {
  /// The target of the request to the upstream: path and query as they came, or the template with what is left of the path
  /// behind it.
  ///
  /// - Parameter requested: as the client sent it.
  /// - Returns: nil where that is no path.
  func target(of requested: String, _ match: RouteMatch, query: String?) -> String? {
    guard let path else {
      return requested.hasPrefix("/") && !requested.contains("#") ? requested : nil
    }
    var target = path.filled { match.captures[$0]?.percentEncodedPath }
    target += (match.remainder ?? "").percentEncodedPath
    if let query { target += "?" + query }
    return target.contains("#") ? nil : target
  }
}
