import Bytes
package import Routing
import WebSocketCore

/// What a client has asked for: its method, its target and what the path captured. A view is told of it.
package struct RequestPlace: Sendable {
  var method = "GET"
  /// As the client sent it: a path with its query, or a whole URL.
  var target: [UInt8] = []
  var captures = Captures()
  /// The parameters of the query that are Sluice's own, and that nobody is told of.
  var ownParameters: [String] = []

  package init(method: String = "GET", target: [UInt8] = [], captures: Captures = Captures()) {
    self.method = method
    self.target = target
    self.captures = captures
  }

  /// `X-Forwarded-Uri`: path and query as they were sent, without the parameters that may hold a token.
  ///
  /// - Parameter parameters: the names of the parameters to leave out.
  func uri(without parameters: [String]) -> String {
    var bytes = target[...]
    if bytes.first != UInt8(ascii: "/") {
      // The absolute form (RFC 9112 section 3.2.2): what follows `http://host`.
      let authority = bytes.firstRange(of: Array("://".utf8)).map { bytes[$0.upperBound...] } ?? []
      bytes = authority.drop { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
      if bytes.first != UInt8(ascii: "/") { bytes = [UInt8(ascii: "/")] + bytes }
    }
    // All that is no printable ASCII is encoded.
    let uri = PercentEncoding.encode(Array(bytes)) { (0x21...0x7E).contains($0) }
    return uri.withoutParameters(parameters + ownParameters)
  }
}

extension String {
  /// The target of a request without some parameters of its query.
  ///
  /// - Parameter names: byte for byte, as a token is looked for.
  func withoutParameters(_ names: [String]) -> String {
    guard let mark = utf8.firstIndex(of: UInt8(ascii: "?")), !names.isEmpty else { return self }
    let query = self[utf8.index(after: mark)...]
    let kept = query.utf8.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false).filter {
      part in
      let parameter = NamedValue(Substring(part))
      return !names.contains { parameter.isNamed($0) }
    }
    guard kept.count < query.utf8.count(where: { $0 == UInt8(ascii: "&") }) + 1 else { return self }
    let rest = kept.map { String(Substring($0)) }.joined(separator: "&")
    return rest.isEmpty ? String(self[..<mark]) : self[...mark] + rest
  }
}
