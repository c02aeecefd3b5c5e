import GatewayConfig
import Logging
import Synchronization

/// Counts what upstreams did not answer, and writes a line for each, but never more than a bounded number in a second.
final class UpstreamFailures: Sendable {
  let count = Atomic<Int>(0)
  private let log: Logger
  private let pace = SharedLogPace()

  init(log: Logger) {
    self.log = log
  }

  /// - Parameters:
  ///   - status: what the client is told, an HTTP status or a close code.
  ///   - reason: for the operator only.
  func record(_ upstream: UpstreamConfiguration, status: Int, _ reason: String) {
    count.up()
    guard let suppressed = pace.next() else { return }
    log.warning(
      "an upstream failed",
      metadata: [
        "upstream": "\(upstream.place)", "status": "\(status)", "reason": "\(reason)",
        "suppressed": "\(suppressed)",
      ])
  }
}
