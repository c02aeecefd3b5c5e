import Logging
import Transport

/// Counts the clients with which no TLS came about, and writes a line about each, but at most a bounded number per second.
package final class TLSFailures: Sendable {
  private let counters: ProcessCounters
  private let pace = SharedLogPace()
  private let log: Logger

  init(_ counters: ProcessCounters, log: Logger) {
    self.counters = counters
    self.log = log
  }

  /// - Parameter fault: nil where this side closed the connection, and has logged why.
  func record(_ fault: TLSFault?, of peer: PeerAddress) {
    // A health check that only connects.
    if fault?.isUnheard == true { return }
    counters.tlsFailures.up()
    guard let fault else { return }
    log.log(
      "a TLS handshake failed", at: .info, paced: pace,
      ["peer": "\(peer)", "reason": "\(PeerFault(fault, of: .client))"])
  }
}
