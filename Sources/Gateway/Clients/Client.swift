import Bytes
import GatewayConfig
import Transport

/// The other end of a connection: where it is, and how it came. Behind a relay or a proxy the connection itself does not tell.
struct Client: Sendable {
  var peer: PeerAddress
  /// Whether it spoke TLS, which ended here or at a trusted proxy.
  var isSecure: Bool
  /// The host that a trusted proxy was asked for, where it says so.
  var forwardedHost: String?
  /// What it takes up of the connections that its address may have; nil where these are not counted.
  var place: AddressPlace?

  init(peer: PeerAddress, isSecure: Bool, place: AddressPlace? = nil) {
    self.peer = peer
    self.isSecure = isSecure
    self.place = place
  }

  /// The host that the client asked for.
  ///
  /// - Parameter field: the `Host` field of the request.
  func host(_ field: String) -> String { forwardedHost ?? field }
}

extension PeerAddress {
  /// Nil for a Unix socket. The zone of a link-local address is left out.
  var address: IPAddress? { host.flatMap { IPAddress($0.prefix { $0 != "%" }) } }

  /// An address that was told by somebody in front of Sluice.
  ///
  /// - Parameter port: 0 where it is not known.
  init(_ address: IPAddress, port: Int = 0) {
    self = .tcp(host: "\(address)", port: port)
  }
}

extension TrustedProxies {
  func contains(_ peer: PeerAddress) -> Bool {
    switch peer {
    case .unix: unix
    case .tcp: peer.address.map(contains) ?? false
    }
  }
}
