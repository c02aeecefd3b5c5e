package import GatewayConfig
import NIOCore
package import NIOSSL

extension UpstreamConfiguration.Trust {
  /// The TLS configuration for an upstream.
  package var clientConfiguration: TLSConfiguration {
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.minimumTLSVersion = .tlsv12
    configuration.applicationProtocols = ["http/1.1"]
    if let authorities { configuration.trustRoots = .file(authorities) }
    if !verifiesCertificate { configuration.certificateVerification = .none }
    return configuration
  }
}

extension UpstreamConfiguration {
  /// The name that is sent to the upstream and that its certificate must have; nil for an address, which is not sent (RFC 6066
  /// section 3), but checked as an address.
  package var serverName: String? {
    (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
  }
}
