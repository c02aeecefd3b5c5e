import GatewayConfig
import Logging
import Synchronization

/// Counts requests that upstreams did not answer as expected, and writes a line for each, but at most a bounded number per
/// second.
final class UpstreamFailures: Sendable {
  let count = Atomic<Int>(0)
  private let log: Logger
  private let pace = SharedLogPace()
  private let shortagePace = SharedLogPace(most: 1)
  private let repeatPace = SharedLogPace(most: 1)

  init(log: Logger) {
    self.log = log
  }

  /// All connections to an upstream were in use, so that clients were refused or disconnected.
  func recordShortage(_ upstream: UpstreamConfiguration, _ shortage: UpstreamPlaces.Shortage) {
    guard let suppressed = shortagePace.next() else { return }
    log.warning(
      "all connections to an upstream were in use",
      metadata: [
        "upstream": "\(upstream.authority)", "connections": "\(shortage.connections)",
        "clients_not_reading": "\(shortage.notReading)", "let_go": "\(shortage.letGo)",
        "refused": "\(shortage.refused)", "suppressed": "\(suppressed)",
      ])
  }

  /// A request was sent a second time. Its client does not notice.
  func recordRepeat(_ upstream: UpstreamConfiguration) {
    guard let suppressed = repeatPace.next() else { return }
    log.info(
      "an upstream closed an idle connection; the request was sent again on a new one",
      metadata: [
        "upstream": "\(upstream.authority)",
        "idle_timeout": "\(upstream.idleTimeout / .milliseconds(1))ms", "suppressed": "\(suppressed)",
      ])
  }

  /// - Parameters:
  ///   - status: the HTTP status or close code that the client gets.
  ///   - reason: for the operator only.
  func record(_ upstream: UpstreamConfiguration, status: Int, _ reason: String) {
    count.up()
    guard let suppressed = pace.next() else { return }
    log.warning(
      "an upstream did not answer as expected",
      metadata: [
        "upstream": "\(upstream.place)", "status": "\(status)", "reason": "\(reason)",
        "suppressed": "\(suppressed)",
      ])
  }
}
