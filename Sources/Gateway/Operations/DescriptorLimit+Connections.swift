import GatewayConfig
import Transport

extension DescriptorLimit {
  /// Left for listeners, epoll, files and the log, and for connections beyond the limit that are refused in words.
  private static let reserve = 64 + GatewayState.mostBeyondLimit

  /// Of a connection with TLS: its own, and those of the pair of sockets behind it.
  private static let forTLS = 3

  /// How many connections of clients fit, where each may need a second one to an upstream.
  func forConnections(of configuration: Configuration) -> Int {
    let own = configuration.server.tls == nil ? 1 : Self.forTLS
    let upstream =
      configuration.served.hasSecureUpstreams ? Self.forTLS : configuration.served.hasUpstreams ? 1 : 0
    return max(1, (descriptors - Self.reserve) / (own + upstream))
  }
}
