import NIOSSL
import NetworkFaults

/// Why a request to Redis failed; one sentence for a log, without secrets.
package enum RedisFailure: Error, Sendable, Hashable, CustomStringConvertible {
  case cannotConnect(String)
  /// The connection had ended before, so nothing was sent.
  case notConnected
  /// The connection ended before the reply arrived.
  case disconnected
  /// There was no reply in time.
  case timeout
  /// The bytes are not valid in the Redis protocol.
  case malformed(String)
  /// Redis answered with an error.
  case refused(RedisRefusal)
  case unexpectedReply(to: String)

  /// Whether Redis may have carried out the request nevertheless.
  package var isUncertain: Bool {
    switch self {
    case .cannotConnect, .notConnected, .refused: false
    case .disconnected, .timeout, .malformed, .unexpectedReply: true
    }
  }

  /// Whether the connection cannot be used any more.
  package var endsConnection: Bool {
    if case .refused(let refusal) = self { refusal.endsConnection } else { true }
  }

  package var description: String {
    switch self {
    case .cannotConnect(let reason): "cannot connect: \(reason)"
    case .notConnected, .disconnected: "the connection ended"
    case .timeout: "no answer in time"
    case .malformed(let fault): "the server does not speak the Redis protocol: \(fault)"
    case .refused(let refusal): refusal.description
    case .unexpectedReply(let command): "an unexpected reply to \(command)"
    }
  }
}

// MARK: - While connecting

extension RedisFailure {
  /// Describes in a few words why a connection failed.
  init(connecting error: any Error) {
    self = error as? RedisFailure ?? .cannotConnect(Self.sentence(error))
  }

  private static func sentence(_ error: any Error) -> String {
    switch error {
    case is CancellationError: return "the attempt was cancelled"
    case NIOSSLError.handshakeFailed(.sslError(let stack)), BoringSSLError.sslError(let stack):
      return sentence(stack)
    case NIOSSLError.handshakeFailed: return "the TLS handshake failed"
    case NIOSSLError.uncleanShutdown: return "the TLS connection ended unexpectedly"
    case NIOSSLError.failedToLoadCertificate: return "the certificate file contains no certificate"
    case NIOSSLError.failedToLoadPrivateKey: return "the key file contains no private key"
    case NIOSSLError.unableToValidateCertificate, NIOSSLError.noCertificateToValidate:
      return "the server's certificate cannot be verified"
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
      return "the server requires a client certificate"
    case "WRONG_VERSION_NUMBER", "HTTP_REQUEST":
      return "the server does not speak TLS on this port: write redis://, or leave ssl out"
    case let reason?: return "the TLS handshake failed: \(reason)"
    }
  }
}
