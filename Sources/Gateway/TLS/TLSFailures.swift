import Logging
import NIOCore

/// Counts hand-shakes of TLS that failed, and writes a line for each, but never more than a bounded number in a second.
final class TLSFailures: Sendable {
  private let gateway: GatewayState
  private let pace = SharedLogPace()

  init(gateway: GatewayState) {
    self.gateway = gateway
  }

  func record(_ client: Client, _ error: any Error) {
    // A health check that only looks whether somebody listens.
    if error is TLSRelay.NothingSaid { return }
    gateway.counters.tlsFailures.up()
    // The worker closed it, and has said why.
    if case ChannelError.inputClosed = error { return }
    guard let suppressed = pace.next() else { return }
    var metadata: Logger.Metadata = ["peer": "\(client.peer)", "reason": "\(PeerFault(error, of: .client))"]
    if suppressed > 0 { metadata["suppressed"] = "\(suppressed)" }
    gateway.log.info("a TLS handshake failed", metadata: metadata)
  }
}
