import NIOCore
import NIOSSL
import Transport

/// Describes why a connection with a peer failed, for the operator.
package struct PeerFault: Error, CustomStringConvertible {
  package var description: String
  /// A certificate was shown, and is not one to accept.
  package var isAboutTrust: Bool

  package enum Peer: String {
    case client, server
  }

  /// - Parameter error: the error of the network, the TLS handler or the channel.
  package init(_ error: any Error, of peer: Peer) {
    isAboutTrust =
      switch error {
      case NIOSSLError.handshakeFailed(.sslError(let stack)): stack.reason == Self.verificationFailed
      case let fault as TLSFault: fault.isAboutTrust
      case let error as NIOSSLExtraError: error == .failedToValidateHostname
      default: false
      }
    description =
      switch error {
      case NIOSSLError.handshakeFailed(.sslError(let stack)), BoringSSLError.sslError(let stack):
        Self.sentence(stack.reason, peer)
      case let fault as TLSFault where fault.isAboutTrust: Self.sentence(aboutTrust: fault.reason, peer)
      case let fault as TLSFault: Self.sentence(fault, peer)
      case let error as NIOSSLExtraError where error == .failedToValidateHostname:
        "the certificate of the \(peer) is for another name"
      case ChannelError.inputClosed: "the handshake was given up"
      case is NIOSSLError, ChannelError.eof: "the \(peer) closed the connection"
      default: NetworkFault.words(for: error) ?? "\(error)"
      }
  }

  /// The ends of the names of alerts with which a peer refuses our certificate; the last one is Chromium's.
  private static let distrust = ["ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE_UNKNOWN"]

  private static let verificationFailed = NIOBoringSSLErrorStack.verificationFailed

  private static func sentence(_ fault: TLSFault, _ peer: Peer) -> String {
    switch fault.source {
    case .library: sentence(fault.reason.uppercased().replacing(" ", with: "_"), peer)
    case .peerEnd: sentence(nil, peer)
    case .other: fault.reason
    }
  }

  /// - Parameter reason: of OpenSSL's (`X509_verify_cert_error_string`).
  private static func sentence(aboutTrust reason: String, _ peer: Peer) -> String {
    let certificate = "the certificate of the \(peer)"
    return switch reason.lowercased() {
    case "hostname mismatch", "ip address mismatch": "\(certificate) is for another name"
    case "certificate has expired": "\(certificate) has expired"
    case "certificate is not yet valid": "\(certificate) is not valid yet"
    case "self-signed certificate", "self signed certificate":
      "\(certificate) is not trusted: it has signed itself"
    case "unable to get local issuer certificate", "unable to verify the first certificate",
      "self-signed certificate in certificate chain":
      "\(certificate) is not trusted: the authority that has signed it is not known"
    case "certificate signature failure":
      "\(certificate) is not trusted: its authority has the name of a known one, and another key"
    default: "\(certificate) is not trusted: \(reason)"
    }
  }

  /// - Parameter reason: the name of the error in BoringSSL, and in OpenSSL.
  private static func sentence(_ reason: String?, _ peer: Peer) -> String {
    switch reason {
    case nil: "the \(peer) closed the connection"
    case "HTTP_REQUEST", "HTTPS_PROXY_REQUEST": "the \(peer) speaks plain HTTP"
    case "WRONG_VERSION_NUMBER", "UNEXPECTED_RECORD", "UNEXPECTED_MESSAGE", "INVALID_ALERT":
      "the \(peer) does not speak TLS"
    case "UNSUPPORTED_PROTOCOL": "the \(peer) speaks only versions of TLS that are too old"
    case let reason? where reason.hasSuffix("ALERT_PROTOCOL_VERSION"):
      "the \(peer) and Sluice have no version of TLS in common"
    case "NO_SHARED_CIPHER": "the \(peer) and Sluice have no cipher in common"
    case verificationFailed: "the certificate of the \(peer) is not trusted"
    case let reason? where distrust.contains(where: reason.hasSuffix):
      "the \(peer) does not trust the certificate"
    case let reason? where reason.hasSuffix("ALERT_HANDSHAKE_FAILURE"):
      "the \(peer) ended the handshake: it may have no cipher in common with Sluice"
    case let reason? where reason.hasSuffix("UNRECOGNIZED_NAME"):
      "the \(peer) does not know the name that it was asked for"
    case let reason? where reason.hasSuffix("CERTIFICATE_REQUIRED"):
      "the \(peer) asks for a certificate, which Sluice has none of"
    // In TLS 1.3 some clients send the alert unencrypted although it should be encrypted.
    case "BAD_PACKET_LENGTH", "DECRYPTION_FAILED_OR_BAD_RECORD_MAC":
      "the \(peer) ended the handshake: it may not trust the certificate"
    case let reason? where reason.contains("ALERT"): "the \(peer) refuses: \(reason)"
    case let reason?: reason
    }
  }
}
