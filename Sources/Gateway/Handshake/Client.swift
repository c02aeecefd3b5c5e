import Transport

/// The other end of a connection: where it is, and how it came. Behind a relay the connection itself does not tell.
struct Client: Sendable {
  var peer: PeerAddress
  /// Whether it spoke TLS, which ended here.
  var isSecure: Bool
}
