package import Logging
import Synchronization

/// Keeps the lines of a log: level, message, and the reason if there is one.
package final class LogLines: Sendable {
  private let written = Mutex<[String]>([])

  package init() {}

  package var all: [String] { written.withLock { $0 } }

  package var log: Logger { Logger(label: "test") { _ in Handler(lines: self) } }

  private struct Handler: LogHandler {
    let lines: LogLines
    var logLevel = Logger.Level.trace
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let reason = event.metadata?["reason"].map { ": \($0)" } ?? ""
      lines.written.withLock { $0.append("\(event.level) \(event.message)\(reason)") }
    }
  }
}
