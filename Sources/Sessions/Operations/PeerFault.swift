import NIOCore
import NIOSSL
import NetworkFaults
import Transport

/// Describes why a connection with a peer failed, for the operator.
package struct PeerFault: Error, CustomStringConvertible {
  package var description: String

  package enum Peer: String {
    case client, server
  }

  /// - Parameter error: the error of the network, the TLS handler or the channel.
  package init(_ error: any Error, of peer: Peer) {
    description =
      switch error {
      case NIOSSLError.handshakeFailed(.sslError(let stack)): Self.sentence(stack.reason, peer)
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

  private static func sentence(_ fault: TLSFault, _ peer: Peer) -> String {
    switch fault.source {
    case .library: sentence(fault.reason.uppercased().replacing(" ", with: "_"), peer)
    case .peerEnd: sentence(nil, peer)
    case .other: fault.reason
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
    case "NO_SHARED_CIPHER": "the \(peer) and Sluice have no cipher in common"
    case "CERTIFICATE_VERIFY_FAILED": "the certificate of the \(peer) is not trusted"
    case let reason? where distrust.contains(where: reason.hasSuffix):
      "the \(peer) does not trust the certificate"
    // In TLS 1.3 some clients send the alert unencrypted although it should be encrypted.
    case "BAD_PACKET_LENGTH", "DECRYPTION_FAILED_OR_BAD_RECORD_MAC":
      "the \(peer) ended the handshake: it may not trust the certificate"
    case let reason? where reason.contains("ALERT"): "the \(peer) refuses: \(reason)"
    case let reason?: reason
    }
  }
}
