package import Logging
import Transport

/// Log lines for people: time, level, message, then `key=value`.
package struct TextLogHandler: LogHandler {
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
    var line = "\(WallClock.timestamp()) \(event.level.rawValue.uppercased()) \(event.message)"
    for (key, value) in LogOutput.merged(metadata, event.metadata) {
      line += " \(key)=\(Self.quoted("\(value)"))"
    }
    write(line)
  }

  private static func quoted(_ value: String) -> String {
    let needsQuotes = value.isEmpty || value.contains { $0 == " " || $0 == "\"" || $0.isNewline }
    guard needsQuotes else { return value }
    let escaped = value.flatMap { character -> [Character] in
      switch character {
      case "\"", "\\": ["\\", character]
      case let character where character.isNewline: ["\\", "n"]
      default: [character]
      }
    }
    return "\"\(String(escaped))\""
  }
}
