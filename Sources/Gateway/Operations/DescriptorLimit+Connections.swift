import GatewayConfig
import Transport

extension DescriptorLimit {
  /// Left for listeners, epoll, files and the log, and for connections beyond the limit that are refused in words.
  private static let reserve = 64 + GatewayState.mostBeyondLimit

  /// How many connections of clients fit, where each may need a second one to an upstream.
  func forConnections(of application: ApplicationConfiguration) -> Int {
    max(1, (descriptors - Self.reserve) / (application.hasUpstreams ? 2 : 1))
  }
}
