import ChannelLayers
import Logging
import NIOCore
import NIOSSL

/// Counts hand-shakes of TLS that failed, and writes a line for each, but never more than a bounded number in a second.
final class TLSFailures: Sendable {
  private let gateway: GatewayState
  private let pace = SharedLogPace()

  init(gateway: GatewayState) {
    self.gateway = gateway
  }

  func record(_ client: Client, _ error: any Error) {
    gateway.counters.tlsFailures.up()
    guard let suppressed = pace.next() else { return }
    var metadata: Logger.Metadata = ["peer": "\(client.peer)", "reason": "\(Self.sentence(error))"]
    if suppressed > 0 { metadata["suppressed"] = "\(suppressed)" }
    gateway.log.info("a TLS hand-shake failed", metadata: metadata)
  }

  private static func sentence(_ error: any Error) -> String {
    switch error {
    case NIOSSLError.handshakeFailed(.sslError(let stack)): sentence(stack.reason)
    case ChannelError.inputClosed: "the client took too long, or the gateway stops"
    case is NIOSSLError, ChannelError.eof: "the client went away"
    default: "\(error)"
    }
  }

  /// - Parameter reason: BoringSSL's name for it.
  private static func sentence(_ reason: String?) -> String {
    switch reason {
    case nil: "the client went away"
    case "HTTP_REQUEST", "HTTPS_PROXY_REQUEST": "the client speaks plain HTTP"
    case "WRONG_VERSION_NUMBER", "UNEXPECTED_RECORD", "UNEXPECTED_MESSAGE", "INVALID_ALERT":
      "the client does not speak TLS"
    case "UNSUPPORTED_PROTOCOL": "the client speaks only versions of TLS that are too old"
    case "NO_SHARED_CIPHER": "the client has no cipher in common with us"
    case let reason? where reason.contains("ALERT"): "the client refuses: \(reason)"
    case let reason?: reason
    }
  }
}
