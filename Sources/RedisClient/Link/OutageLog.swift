package import Logging

/// Writes one line when a server becomes unavailable, however many attempts fail, and one line when the server is back.
package final class OutageLog {
  package typealias Line = (level: Logger.Level, message: Logger.Message, metadata: Logger.Metadata)

  private let log: Logger
  private let start: Line
  private let end: Line?
  /// Whether the line about the present outage was written.
  package private(set) var isOpen = false

  /// - Parameters:
  ///   - start: written with the reason as a further field.
  ///   - end: nil if nothing is written about the end of an outage.
  package init(_ log: Logger, start: Line, end: Line?) {
    self.log = log
    self.start = start
    self.end = end
  }

  /// An attempt has failed, or a connection has ended.
  package func report(_ failure: any Error) {
    guard !isOpen else { return }
    isOpen = true
    let reason: Logger.Metadata = ["reason": "\(failure)"]
    log.log(level: start.level, start.message, metadata: start.metadata.merging(reason) { $1 })
  }

  /// The server is available.
  package func close() {
    guard isOpen else { return }
    isOpen = false
    if let end { log.log(level: end.level, end.message, metadata: end.metadata) }
  }
}
