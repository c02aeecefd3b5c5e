import JSON
package import Logging
import Transport

/// Log lines for machines: one JSON object a line.
package struct JSONLogHandler: LogHandler {
  package var metadata: Logger.Metadata = [:]
  package var logLevel: Logger.Level
  private let write: @Sendable (String) -> Void

  package init(level: Logger.Level, write: @escaping @Sendable (String) -> Void = LogOutput.standardError) {
    logLevel = level
    self.write = write
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    var members: [JSON.Member] = [
      .init(key: "time", value: .string(WallClock.timestamp())),
      .init(key: "level", value: .string(event.level.rawValue)),
      .init(key: "message", value: .string("\(event.message)")),
    ]
    for (key, value) in LogOutput.merged(metadata, event.metadata) {
      members.append(.init(key: key, value: .string("\(value)")))
    }
    var bytes: [UInt8] = []
    JSON.object(members).append(to: &bytes)
    write(String(decoding: bytes, as: UTF8.self))
  }
}
