import Logging
import Sessions
import Synchronization
import Transport

/// Counts connections that the system could not accept, and writes a line: at once, and then at most one in ten seconds, with
/// the count since the last one.
final class AcceptFailures: Sendable {
  private let log: Logger
  /// Since the start.
  let total = Atomic<Int>(0)
  private let pace = SharedLogPace(most: 1, every: .seconds(10))

  init(log: Logger) {
    self.log = log
  }

  /// - Parameter code: `errno` of the call.
  func record(_ code: Int32, at now: MonotonicTime = .now) {
    total.up()
    guard let suppressed = pace.next(at: now) else { return }
    log.error(
      "connections could not be accepted",
      metadata: [
        "count": "\(suppressed + 1)", "reason": "\(TransportFailure.text(code))",
        "hint": "raise the limit on open files (ulimit -n, LimitNOFILE), or lower limits.connections",
      ])
  }
}
