import Transport

/// A server under load, and what is asked of it.
package struct Target: Sendable, Equatable {
  /// What clients speak with the server.
  package enum Speech: Sendable, Equatable {
    case webSocket
    /// Requests that publish: `POST` on a connection that is kept.
    case publishing
    /// Server-sent events.
    case events
  }

  /// The URL as it was written.
  package let url: String
  let speech: Speech
  let isSecure: Bool
  let host: String
  let port: Int
  /// Path and query.
  let requestTarget: String

  /// - Parameter speech: `ws://` and `wss://` are for WebSocket, `http://` and `https://` for the others.
  package init(_ url: String, _ speech: Speech = .webSocket) throws(BenchFailure) {
    self.url = url
    self.speech = speech
    func fail(_ what: String) -> BenchFailure { BenchFailure("\"\(url)\" \(what); write \(speech.example)") }
    let scheme = url.firstRange(of: "://").map { url[..<$0.lowerBound] } ?? ""
    guard speech.schemes.contains(String(scheme)) else {
      throw fail("is not a \(speech.schemes[0]):// or \(speech.schemes[1]):// URL")
    }
    isSecure = scheme == speech.schemes[1]
    let rest = url.dropFirst(scheme.count + "://".count)
    guard rest.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw fail("has characters that must be percent-encoded in a URL")
    }
    guard !rest.contains("#") else { throw fail("has a fragment (#...), which is never sent to a server") }
    let end = rest.firstIndex { "/?".contains($0) } ?? rest.endIndex
    guard let (host, port) = Self.split(rest[..<end]) else {
      throw fail("does not begin with a valid host, or host and port")
    }
    self.host = host
    self.port = port ?? Self.usualPort(isSecure)
    let target = rest[end...]
    requestTarget = target.hasPrefix("/") ? String(target) : "/" + target
  }

  /// The value of the `Host` field.
  var authority: String {
    let name = host.contains(":") ? "[\(host)]" : host
    return port == Self.usualPort(isSecure) ? name : "\(name):\(port)"
  }

  private static func usualPort(_ isSecure: Bool) -> Int { isSecure ? 443 : 80 }

  /// `host`, `host:port`, `[v6]` or `[v6]:port`.
  private static func split(_ authority: Substring) -> (String, Int?)? {
    guard let match = authority.wholeMatch(of: /(?:\[([^\]@]+)\]|([^:@\[\]]+))(?::([0-9]+))?/),
      let host = match.1 ?? match.2
    else { return nil }
    guard let port = match.3 else { return (String(host), nil) }
    guard let number = Int(port), (1...65535).contains(number) else { return nil }
    return (String(host), number)
  }
}

extension Target.Speech {
  /// Without and with TLS.
  fileprivate var schemes: [String] { self == .webSocket ? ["ws", "wss"] : ["http", "https"] }

  fileprivate var example: String {
    switch self {
    case .webSocket: "ws://127.0.0.1:8000/ws/echo/"
    case .publishing: "http://127.0.0.1:8000/api/publish/"
    case .events: "http://127.0.0.1:8000/events/lobby/"
    }
  }
}

/// A target whose address is known: what the clients of a run connect to.
struct Destination: Sendable {
  let target: Target
  let address: ServerAddress
  /// Nil without TLS.
  let tls: TLSContext?

  /// Resolves the name, and tries its addresses. Blocks.
  init(_ target: Target, for load: Load) throws(BenchFailure) {
    self.target = target
    do throws(TransportFailure) {
      address = try ServerAddress.find(
        host: target.host, port: target.port, timeout: min(load.openTimeout, .seconds(5)))
    } catch {
      throw BenchFailure("cannot connect to \(target.authority): \(error)")
    }
    guard target.isSecure else {
      tls = nil
      return
    }
    do throws(TLSContext.Fault) {
      tls = try TLSContext(forClientsTrusting: load.trust)
    } catch {
      throw BenchFailure("\(load.trust.source): \(error)")
    }
  }
}

extension TLSContext.Trust {
  /// What cannot be read where there is no context.
  fileprivate var source: String {
    switch self {
    case .anybody: "TLS"
    case .system: "the certificates that the system trusts"
    case .file(let path): path
    }
  }
}
