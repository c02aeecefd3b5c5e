package import GatewayConfig
import Logging
import Transport

/// The log of `serve`: standard error behind a bounded queue, so that no reactor waits for whoever reads the log.
package final class LogWriter: Sendable {
  private let lines: LineWriter

  /// - Parameter descriptor: standard error unless given.
  package init(_ format: LoggingConfiguration.Format, to descriptor: Int32 = 2) throws {
    lines = try LineWriter(to: descriptor) { count, loss in
      let reason =
        switch loss {
        case .tooSlow: "the reader of the log is too slow"
        case .failed(let code): "the log could not be written: \(TransportFailure.text(code))"
        }
      let noun = count == 1 ? "line was" : "lines were"
      return GatewayLogHandler.line(
        format, .warning, "\(count) log \(noun) dropped: \(reason)", [("dropped", "\(count)")])
    }
  }

  /// Queues a line, which is given without its end. Callable from any thread; never waits.
  @Sendable package func write(_ line: String) {
    lines.write(line)
  }

  /// Waits until what was said is written, but no longer than this. Nothing is taken any more.
  package func finish(within time: Duration) {
    lines.finish(within: time)
  }
}
