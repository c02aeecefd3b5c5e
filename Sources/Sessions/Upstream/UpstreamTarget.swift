import Bytes
package import GatewayConfig
package import Routing

extension UpstreamConfiguration {
  /// The part before the target in AsyncHTTPClient's notation.
  var base: String {
    socket.map { "http+unix://\($0.percentEncodedComponent)" } ?? "\(scheme.rawValue)://\(authority)"
  }

  /// The path of a URL without placeholders.
  var fixedPath: String { path?.filled { _ in nil } ?? "/" }

  /// The URL of a server whose path has no placeholders, as in the configuration.
  var fixedURL: String { socket.map { "unix:\($0):\(fixedPath)" } ?? "\(scheme)://\(authority)\(fixedPath)" }

  /// The `Host` that the upstream gets.
  package func hostField(of requested: String) -> String {
    hostHeader == .keep && !requested.isEmpty ? requested : authority
  }

  /// Why a request is not passed on, although its path matches the route; nil if it is passed on.
  package func refusal(of requested: String, _ decoded: RequestPath, _ match: RouteMatch) -> String? {
    target(of: requested, decoded, match) == nil ? Refusal.ambiguousPath.text : nil
  }

  /// The target of the request to the upstream: path and query unchanged, or the template followed by the rest of the path,
  /// byte for byte.
  ///
  /// - Parameters:
  ///   - requested: the target as the client sent it.
  ///   - decoded: its decoded path, with which the route was found.
  /// - Returns: nil if the target is not a path, or has a segment `.` or `..` in any spelling. The upstream might resolve
  ///   such a segment, and so leave the template, or reach a path that another route protects.
  package func target(of requested: String, _ decoded: RequestPath, _ match: RouteMatch) -> String? {
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
