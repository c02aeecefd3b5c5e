package import GatewayConfig
package import Transport

/// The other end of a connection: its address, and how it connected. Behind a relay or a proxy the connection itself does not
/// tell.
package struct Client: Sendable {
  package var peer: PeerAddress
  /// Whether the client used TLS, which ended here or at a trusted proxy.
  package var isSecure: Bool
  /// The host that the client asked a trusted proxy for, if the proxy says so.
  package var forwardedHost: String?
  /// Whether a header of the PROXY protocol came first. The proxy passes bytes on, so forwarding fields are the client's own
  /// words, whatever its address is.
  package var isBehindProxyHeader = false
  /// The connection's place among those that its address may have; nil if these are not counted.
  package var place: AddressPlace?

  package init(peer: PeerAddress, isSecure: Bool, place: AddressPlace? = nil) {
    self.peer = peer
    self.isSecure = isSecure
    self.place = place
  }

  /// The host that the client asked for.
  ///
  /// - Parameter field: the `Host` field of the request.
  package func host(_ field: String) -> String { forwardedHost ?? field }
}

extension TrustedProxies {
  package func contains(_ peer: PeerAddress) -> Bool {
    switch peer {
    case .unix: unix
    case .tcp: peer.address.map(contains) ?? false
    }
  }
}
