package import GatewayConfig
import JSON
package import Logging
import Transport

/// Log lines as `logging.format` wants them: `text` for people, `json` for machines, one line each.
package struct GatewayLogHandler: LogHandler {
  package var metadata: Logger.Metadata = [:]
  package var logLevel: Logger.Level
  private let format: LoggingConfiguration.Format
  private let write: @Sendable (String) -> Void

  package init(
    _ format: LoggingConfiguration.Format, level: Logger.Level,
    write: @escaping @Sendable (String) -> Void = LogOutput.standardError
  ) {
    self.format = format
    logLevel = level
    self.write = write
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    let fields = LogOutput.merged(metadata, event.metadata)
    switch format {
    case .text: write(text(event, fields))
    case .json: write(json(event, fields))
    }
  }

  /// Time, level, message, then `key=value`.
  private func text(_ event: LogEvent, _ fields: [(key: String, value: Logger.MetadataValue)]) -> String {
    fields.reduce("\(WallClock.timestamp()) \(event.level.rawValue.uppercased()) \(event.message)") {
      line, field in
      line + " \(field.key)=\(Self.quoted("\(field.value)"))"
    }
  }

  private func json(_ event: LogEvent, _ fields: [(key: String, value: Logger.MetadataValue)]) -> String {
    let members: [JSON.Member] =
      [
        .init(key: "time", value: .string(WallClock.timestamp())),
        .init(key: "level", value: .string(event.level.rawValue)),
        .init(key: "message", value: .string("\(event.message)")),
      ] + fields.map { .init(key: $0.key, value: .string("\($0.value)")) }
    var bytes: [UInt8] = []
    JSON.object(members).append(to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
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
