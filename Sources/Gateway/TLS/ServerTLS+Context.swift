import GatewayConfig
import NIOCore
import NIOSSL

extension ServerTLS {
  /// The TLS context for clients' connections.
  func makeContext() throws -> NIOSSLContext {
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: certificates[0].chain.map { .certificate($0) },
      privateKey: .privateKey(certificates[0].key))
    configuration.minimumTLSVersion =
      switch minimumVersion {
      case .tls12: .tlsv12
      case .tls13: .tlsv13
      }
    configuration.applicationProtocols = ["http/1.1"]
    if certificates.count > 1 {
      configuration.sslContextCallback = { [self] hello, promise in
        promise.succeed(NIOSSLContextConfigurationOverride(certificate(for: hello.serverHostname)))
      }
    }
    return try NIOSSLContext(configuration: configuration)
  }
}

extension NIOSSLContextConfigurationOverride {
  fileprivate init(_ certificate: ServerCertificate) {
    self.init()
    certificateChain = certificate.chain.map { .certificate($0) }
    privateKey = .privateKey(certificate.key)
  }
}
