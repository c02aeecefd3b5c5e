import GatewayConfig
import NIOCore
import NIOSSL

extension UpstreamConfiguration.Trust {
  /// How TLS is spoken with an upstream.
  var clientConfiguration: TLSConfiguration {
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.minimumTLSVersion = .tlsv12
    configuration.applicationProtocols = ["http/1.1"]
    if let authorities { configuration.trustRoots = .file(authorities) }
    if !verifiesCertificate { configuration.certificateVerification = .none }
    return configuration
  }
}

extension UpstreamConfiguration {
  /// The name that the upstream is told and has to prove; nil for an address, which is told to nobody (RFC 6066 section 3) and
  /// proved as it is.
  var serverName: String? {
    (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
  }
}
