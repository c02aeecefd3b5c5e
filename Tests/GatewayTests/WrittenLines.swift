import GatewayConfig
import Logging
import Synchronization

@testable import Gateway

/// The lines of a log as the gateway writes them.
final class WrittenLines: Sendable {
  private let written = Mutex<[String]>([])
  private let format: LoggingConfiguration.Format
  private let level: Logger.Level

  init(_ format: LoggingConfiguration.Format, level: Logger.Level = .debug) {
    self.format = format
    self.level = level
  }

  var all: [String] { written.withLock(\.self) }

  /// The log that writes them.
  var log: Logger {
    let handler = GatewayLogHandler(format, level: level) { line in self.written.withLock { $0.append(line) }
    }
    return Logger(label: "test") { _ in handler }
  }
}
