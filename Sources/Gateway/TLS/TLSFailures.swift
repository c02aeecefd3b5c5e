import Logging
import NIOCore
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
    gateway.log.log(
      "a TLS handshake failed", at: .info, paced: pace,
      ["peer": "\(client.peer)", "reason": "\(PeerFault(error, of: .client))"])
  }
}
