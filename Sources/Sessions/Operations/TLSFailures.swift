import Logging
import NetworkFaults
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

  /// - Parameter end: how the connection was closed.
  func record(_ connection: Connection, closed end: ConnectionEnd, of peer: PeerAddress) {
    // A health check that only connects.
    guard connection.isHeard else { return }
    counters.tlsFailures.up()
    let reason: String
    if let fault = connection.tlsFault {
      reason = PeerFault(fault, of: .client).description
    } else if case .failed(let code) = end {
      reason = TransportFailure.text(code)
    } else {
      // This side closed the connection, and has logged why.
      return
    }
    log.log("a TLS handshake failed", at: .info, paced: pace, ["peer": "\(peer)", "reason": "\(reason)"])
  }
}
