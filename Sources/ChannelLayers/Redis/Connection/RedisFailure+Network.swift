import NIOSSL

extension RedisFailure {
  /// What NIO says of a connection that cannot be had, in a few words.
  init(connecting error: any Error) {
    self = error as? RedisFailure ?? .cannotConnect(Self.sentence(error))
  }

  private static func sentence(_ error: any Error) -> String {
    switch error {
    case let failure as RedisFailure: return failure.description
    case is CancellationError: return "it was given up"
    case NIOSSLError.handshakeFailed(.sslError(let stack)), BoringSSLError.sslError(let stack):
      return sentence(stack)
    case NIOSSLError.handshakeFailed: return "the TLS handshake failed"
    case NIOSSLError.uncleanShutdown: return "the TLS connection was cut off"
    case NIOSSLError.failedToLoadCertificate: return "a certificate's file holds none"
    case NIOSSLError.failedToLoadPrivateKey: return "a private key's file holds none"
    case NIOSSLError.unableToValidateCertificate, NIOSSLError.noCertificateToValidate:
      return "the server's certificate cannot be checked"
    case let failure as NIOSSLExtraError where failure == .failedToValidateHostname:
      return "the server's certificate is for another name"
    case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError: return "TLS failed: \(error)"
    default: return NetworkFault.words(for: error) ?? "\(error)"
    }
  }

  private static func sentence(_ stack: NIOBoringSSLErrorStack) -> String {
    switch stack.reason {
    case nil: return "the server ended the TLS handshake"
    case "CERTIFICATE_VERIFY_FAILED": return "the server's certificate is not trusted"
    case let reason? where reason.hasSuffix("CERTIFICATE_REQUIRED"):
      return "the server asks for a certificate"
    case "WRONG_VERSION_NUMBER", "HTTP_REQUEST":
      return "the server does not speak TLS on this port: write redis://, or leave ssl out"
    case let reason?: return "the TLS handshake failed: \(reason)"
    }
  }
}
