import GatewayConfig
import Transport

extension ServerTLS {
  /// The TLS context for clients' connections.
  func makeContext() throws(TLSContext.Fault) -> TLSContext {
    let minimum: TLSContext.MinimumVersion =
      switch minimumVersion {
      case .tls12: .tls12
      case .tls13: .tls13
      }
    let choose: @Sendable (String) -> Int = { [self] name in index(for: name) }
    return try TLSContext(certificates.map(\.pair), minimum: minimum, choose: choose)
  }
}
