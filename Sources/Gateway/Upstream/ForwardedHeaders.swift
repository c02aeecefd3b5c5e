import GatewayConfig
import Transport

/// The fields of a message on their way through a proxy, HTTP or WebSocket.
struct ForwardedHeaders {
  /// Meant for the next hop only (RFC 9110 section 7.6.1), or made anew for it.
  private static let hopByHop: Set<String> = [
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
    "trailer", "transfer-encoding", "upgrade", "http2-settings",
  ]

  /// What a client says about who it is and where it came in is ours to say.
  private static let ours: Set<String> = [
    "forwarded", "x-real-ip", "x-sluice-user", "host", "expect", "content-length",
  ]

  /// The fields that `Connection` names.
  private let named: Set<String>

  /// - Parameter connection: the values of the message's `Connection` fields.
  init(connection: [String]) {
    named = Set(
      connection.flatMap { $0.split(separator: ",") }.map {
        $0.filter { $0 != " " && $0 != "\t" }.lowercased()
      })
  }

  /// Whether a field of a response goes on to the client.
  ///
  /// - Parameter name: in lower case.
  func passesResponse(_ name: String) -> Bool {
    !Self.hopByHop.contains(name) && !named.contains(name)
  }

  /// Whether a field of a request goes on to the upstream.
  ///
  /// A name with an underscore does not: to WSGI it looks the same as one with a dash.
  func passesRequest(_ name: String) -> Bool {
    passesResponse(name) && !Self.ours.contains(name) && !name.hasPrefix("x-forwarded-")
      && !name.contains("_")
  }

  /// What we say about the client.
  ///
  /// - Parameter host: the `Host` field of the request; empty where it has none.
  static func added(host: String, client: Client) -> [(name: String, value: String)] {
    var fields: [(name: String, value: String)] = []
    if let address = client.peer.host { fields.append(("X-Forwarded-For", address)) }
    fields.append(("X-Forwarded-Proto", client.isSecure ? "https" : "http"))
    let host = client.host(host)
    if !host.isEmpty { fields.append(("X-Forwarded-Host", host)) }
    return fields
  }
}

extension UpstreamConfiguration {
  /// The `Host` that the upstream sees of a request.
  func hostField(of requested: String) -> String {
    hostHeader == .keep && !requested.isEmpty ? requested : authority
  }
}
