import GatewayConfig
import Transport

extension DescriptorLimit {
  /// Left for listeners, epoll, files and the log.
  static let reserve = 64

  /// Of a connection with TLS: its own, and those of the pair of sockets behind it.
  private static let forTLS = 3

  /// How many connections of clients fit, where each may need a second one to an upstream.
  func forConnections(of configuration: Configuration) -> Int {
    let own = configuration.server.tls == nil ? 1 : Self.forTLS
    let upstream =
      configuration.served.hasSecureUpstreams ? Self.forTLS : configuration.served.hasUpstreams ? 1 : 0
    return connections(own: own, upstream: upstream)
  }

  /// - Parameters:
  ///   - own: descriptors of a connection of a client.
  ///   - upstream: of the one behind it. Those that are beyond the limit, and refused in words, have none.
  func connections(own: Int, upstream: Int) -> Int {
    let left = descriptors - Self.reserve
    let beyond = GatewayState.beyond(left / (own + upstream))
    return max(1, (left - beyond * own) / (own + upstream))
  }
}
