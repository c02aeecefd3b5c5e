import Bytes
package import GatewayConfig
package import Logging
import Transport

/// Writes log lines in the format of `logging.format`: `text` for people, `json` for machines.
///
/// A line has at most `mostBytes` bytes including its end, and foreign text in it cannot end the line, forge another one or
/// break its JSON.
package struct GatewayLogHandler: LogHandler {
  /// The size that a pipe takes in one piece.
  static let mostBytes = LineWriter.piece

  package var metadata: Logger.Metadata = [:]
  package var logLevel: Logger.Level
  private let format: LoggingConfiguration.Format
  private let write: @Sendable (String) -> Void

  /// - Parameter write: called with each line, without its end.
  package init(
    _ format: LoggingConfiguration.Format, level: Logger.Level, write: @escaping @Sendable (String) -> Void
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
    // The event's own metadata takes precedence. Sorted, so that lines can be compared.
    let fields = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
    write(Self.line(format, event.level, "\(event.message)", fields.map { ($0.key, "\($0.value)") }))
  }

  /// The longest line that fits. The longer texts are cut first.
  static func line(
    _ format: LoggingConfiguration.Format, _ level: Logger.Level, _ message: String,
    _ fields: [(key: String, value: String)]
  ) -> String {
    let time = WallClock.timestamp()
    func line(_ limit: Int, _ fields: [(key: String, value: String)]) -> String {
      switch format {
      case .text: text(time, level, message, fields, limit)
      case .json: json(time, level, message, fields, limit)
      }
    }
    for limit in [1024, 256, 64] {
      let line = line(limit, fields)
      if line.utf8.count < mostBytes { return line }
    }
    return line(1024, [])
  }

  /// Time, level, message, then `key=value`.
  private static func text(
    _ time: String, _ level: Logger.Level, _ message: String, _ fields: [(key: String, value: String)],
    _ limit: Int
  ) -> String {
    var line = "\(time) \(level.rawValue.uppercased()) "
    LogText.append(message, to: &line, limit: limit, isQuoted: false)
    for (key, value) in fields {
      line += " \(key)="
      var quoted = ""
      let isPlain = LogText.append(value, to: &quoted, limit: limit, isQuoted: true)
      let isWord = !value.isEmpty && quoted.unicodeScalars.allSatisfy(\.isOfWord)
      line += isPlain && isWord ? quoted : "\"\(quoted)\""
    }
    return line
  }

  /// Fields that are always numbers. The value of another field, such as a user's name, may look like a number without being
  /// one.
  private static let numbers: Set<String> = [
    "accept-failures", "before", "bytes", "bytes-in", "bytes-out", "code", "connections", "count", "dropped",
    "given-up-messages", "given-way", "held", "http-routes", "messages-in", "messages-out", "open-files",
    "others",
    "pause-us", "ping-timeouts", "protocol-violations", "refused", "refused-events", "resident", "seconds",
    "sessions",
    "slow-readers",
    "status", "suppressed", "threads", "tls-failures", "vanished-clients", "wanted", "websocket-routes",
  ]

  /// Whether it is a valid number in JSON (RFC 8259 section 6) that no reader rounds.
  private static func isNumber(_ text: String) -> Bool {
    guard (1...15).contains(text.utf8.count),
      text.utf8.count == 1 || !text.hasPrefix("0") || text.hasPrefix("0.")
    else { return false }
    let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return parts.count <= 2
      && parts.allSatisfy { part in
        !part.isEmpty && part.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      }
  }

  private static func json(
    _ time: String, _ level: Logger.Level, _ message: String, _ fields: [(key: String, value: String)],
    _ limit: Int
  ) -> String {
    var line = ""
    let own = [("time", time), ("level", level.rawValue), ("message", message)]
    // A name must not appear twice in an object.
    let others = fields.filter { field in !own.contains { $0.0 == field.key } }
    for (key, value) in own + others {
      line += line.isEmpty ? "{\"" : ",\""
      LogText.append(key, to: &line, limit: limit, isQuoted: true)
      if numbers.contains(key), isNumber(value) {
        line += "\":\(value)"
        continue
      }
      line += "\":\""
      LogText.append(value, to: &line, limit: limit, isQuoted: true)
      line += "\""
    }
    return line + "}"
  }
}
