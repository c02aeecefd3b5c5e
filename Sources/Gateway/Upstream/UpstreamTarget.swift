import GatewayConfig
import Routing

extension UpstreamConfiguration {
  /// What stands before the target in AsyncHTTPClient's notation.
  var base: String {
    socket.map { "http+unix://\($0.percentEncodedComponent)" } ?? "\(scheme.rawValue)://\(authority)"
  }

  /// The target of the request to the upstream: path and query as they came, or the template with what is left of the path
  /// behind it, byte for byte.
  ///
  /// - Parameters:
  ///   - requested: as the client sent it.
  ///   - decoded: the path of it, which the route was found by.
  /// - Returns: nil where that is no path, or has a segment `.` or `..` in any spelling. The upstream may go up there, out of the
  ///   template, or from a route that anyone may use to one that asks for a token.
  func target(of requested: String, _ decoded: RequestPath, _ match: RouteMatch) -> String? {
    guard !decoded.hasDotSegment, requested.hasPrefix("/"), !requested.contains("#") else { return nil }
    guard let path else { return requested }
    let filled = path.filled { match.captures[$0] } + (match.remainder ?? "")
    guard !RequestPath(text: filled).hasDotSegment else { return nil }
    var target = path.filled { match.captures[$0]?.percentEncodedPath }
    target += RequestPath.encodedEnd(of: requested, decodedBytes: match.remainder?.utf8.count ?? 0)
    if let query = decoded.query { target += "?" + query }
    return target.contains("#") ? nil : target
  }
}
