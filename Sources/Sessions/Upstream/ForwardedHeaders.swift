import Transport
package import WebSocketCore

/// Decides which fields of an HTTP or WebSocket message a proxy passes on.
package struct ForwardedHeaders {
  /// Fields for the next hop only (RFC 9110 section 7.6.1), or fields that are made anew for it.
  private static let hopByHop: Set<String> = [
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
    "trailer", "transfer-encoding", "upgrade", "http2-settings",
  ]

  /// Fields about the client, which only Sluice itself may set, besides those that begin with one of `ourPrefixes`.
  private static let ours: Set<String> = [
    "forwarded", "x-real-ip", "host", "expect", "content-length",
  ]

  private static let ourPrefixes = ["x-forwarded-", "x-sluice-"]

  /// The fields that `Connection` names.
  private let named: Set<String>

  /// - Parameter connection: the values of the message's `Connection` fields.
  package init(connection: [String]) {
    named = Set(
      connection.flatMap { $0.split(separator: ",") }.map {
        $0.filter { $0 != " " && $0 != "\t" }.lowercased()
      })
  }

  /// Whether a field of a response is passed on to the client.
  ///
  /// - Parameter name: in lower case.
  package func passesResponse(_ name: String) -> Bool {
    !Self.hopByHop.contains(name) && !named.contains(name)
  }

  /// Whether a field of a request is passed on to the upstream.
  ///
  /// A name with an underscore is not, because WSGI cannot tell it from one with a dash.
  package func passesRequest(_ name: String) -> Bool {
    passesResponse(name) && !Self.ours.contains(name) && !name.contains("_")
      && !Self.ourPrefixes.contains(where: name.hasPrefix)
  }

  /// The fields with which Sluice describes the client.
  ///
  /// - Parameter host: the `Host` field of the request; empty if it has none.
  package static func added(host: String, client: Client) -> [HeaderField] {
    added(host: client.host(host), address: client.peer.host, isSecure: client.isSecure)
  }

  /// - Parameters:
  ///   - host: what the client has asked for; empty if it is not known.
  ///   - address: of the client.
  static func added(host: String, address: String?, isSecure: Bool) -> [HeaderField] {
    var fields: [HeaderField] = []
    if let address { fields.append(HeaderField(name: "X-Forwarded-For", value: address)) }
    fields.append(HeaderField(name: "X-Forwarded-Proto", value: isSecure ? "https" : "http"))
    if !host.isEmpty { fields.append(HeaderField(name: "X-Forwarded-Host", value: host)) }
    return fields
  }
}
