import Logging
import NIOCore
import Sessions
import Transport

/// Counts failed TLS handshakes, and writes a line for each, but at most a bounded number per second.
final class TLSFailures: Sendable {
  private let gateway: GatewayState
  private let pace = SharedLogPace()

  init(gateway: GatewayState) {
    self.gateway = gateway
  }

  func record(_ client: Client, _ error: any Error) {
    // A health check that only connects.
    if error is TLSRelay.NothingSaid { return }
    gateway.counters.tlsFailures.up()
    // The worker closed the connection, and has logged why.
    if case ChannelError.inputClosed = error { return }
    guard let suppressed = pace.next() else { return }
    var metadata: Logger.Metadata = ["peer": "\(client.peer)", "reason": "\(PeerFault(error, of: .client))"]
    metadata.note(suppressed: suppressed)
    gateway.log.info("a TLS handshake failed", metadata: metadata)
  }
}
