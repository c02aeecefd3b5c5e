/// The server under load, and the path of its route.
package struct Target: Sendable, Equatable {
  /// The URL as it was written.
  package let url: String
  let host: String
  let port: Int
  /// Path and query.
  let requestTarget: String

  private static let scheme = "ws://"

  package init(_ url: String) throws(BenchFailure) {
    self.url = url
    func fail(_ what: String) -> BenchFailure {
      BenchFailure("\"\(url)\" \(what); write ws://127.0.0.1:8000/ws/echo/")
    }
    guard url.hasPrefix(Self.scheme) else {
      throw fail(url.hasPrefix("wss://") ? "needs TLS, which bench does not support" : "is not a ws:// URL")
    }
    let rest = url.dropFirst(Self.scheme.count)
    guard rest.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw fail("has characters that must be percent-encoded in a URL")
    }
    guard !rest.contains("#") else { throw fail("has a fragment (#...), which is never sent to a server") }
    let end = rest.firstIndex { "/?".contains($0) } ?? rest.endIndex
    guard let (host, port) = Self.split(rest[..<end]) else {
      throw fail("does not begin with a valid host, or host and port")
    }
    self.host = host
    self.port = port
    let target = rest[end...]
    requestTarget = target.hasPrefix("/") ? String(target) : "/" + target
  }

  /// The value of the `Host` field.
  var authority: String {
    let name = host.contains(":") ? "[\(host)]" : host
    return port == 80 ? name : "\(name):\(port)"
  }

  /// `host`, `host:port`, `[v6]` or `[v6]:port`.
  private static func split(_ authority: Substring) -> (String, Int)? {
    guard let match = authority.wholeMatch(of: /(?:\[([^\]@]+)\]|([^:@\[\]]+))(?::([0-9]+))?/),
      let host = match.1 ?? match.2
    else { return nil }
    guard let port = match.3 else { return (String(host), 80) }
    guard let number = Int(port), (1...65535).contains(number) else { return nil }
    return (String(host), number)
  }
}
