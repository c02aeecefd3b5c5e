import GatewayConfig
import Routing

extension UpstreamConfiguration {
  /// The target of the request to the upstream: path and query as they came, or the template with what is left of the path
  /// behind it.
  ///
  /// - Parameter requested: as the client sent it.
  /// - Returns: nil where that is no path, or would lead out of the template's: an upstream goes up at a `..`, encoded or not.
  func target(of requested: String, _ match: RouteMatch, query: String?) -> String? {
    guard let path else {
      return requested.hasPrefix("/") && !requested.contains("#") ? requested : nil
    }
    let decoded = path.filled { match.captures[$0] } + (match.remainder ?? "")
    guard !decoded.split(separator: "/").contains(where: { $0 == "." || $0 == ".." }) else { return nil }
    var target = path.filled { match.captures[$0]?.percentEncodedPath }
    target += (match.remainder ?? "").percentEncodedPath
    if let query { target += "?" + query }
    return target.contains("#") ? nil : target
  }
}
