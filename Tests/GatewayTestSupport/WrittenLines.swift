import Gateway
package import GatewayConfig
package import Logging
import Synchronization

/// The lines of a log as the gateway writes them.
package final class WrittenLines: Sendable {
  private let written = Mutex<[String]>([])
  private let format: LoggingConfiguration.Format
  private let level: Logger.Level

  package init(_ format: LoggingConfiguration.Format, level: Logger.Level = .debug) {
    self.format = format
    self.level = level
  }

  package var all: [String] { written.withLock(\.self) }

  /// The log that writes them.
  package var log: Logger {
    let handler = GatewayLogHandler(format, level: level) { line in self.written.withLock { $0.append(line) }
    }
    return Logger(label: "test") { _ in handler }
  }
}
