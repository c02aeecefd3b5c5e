package import GatewayConfig
import Logging
import Transport

/// The log of `serve`: standard error behind a bounded queue, so that no reactor waits for the reader of the log.
package final class LogWriter: Sendable {
  private let lines: LineWriter

  /// - Parameter descriptor: standard error by default.
  package init(_ format: LoggingConfiguration.Format, to descriptor: Int32 = 2) throws {
    lines = try LineWriter(to: descriptor) { count, loss in
      let reason =
        switch loss {
        case .tooSlow: "the reader of the log is too slow"
        case .failed(let code): "the log could not be written: \(TransportFailure.text(code))"
        }
      let noun = count == 1 ? "line was" : "lines were"
      return GatewayLogHandler.line(
        format, .warning, "\(count) log \(noun) dropped: \(reason)",
        [.init(key: "dropped", value: "\(count)", isNumber: true)])
    }
  }

  /// Queues a line, given without its end. Can be called from any thread and never waits.
  @Sendable package func write(_ line: String) {
    lines.write(line)
  }

  /// Waits until the queued lines are written, but no longer than the given time. No more lines are accepted.
  package func finish(within time: Duration) {
    lines.finish(within: time)
  }
}
