import Bytes
package import GatewayConfig
package import Logging
import Sessions
package import Transport

/// Writes log lines in the format of `logging.format`: `text` for people, `json` for machines.
///
/// A line has at most `mostBytes` bytes including its end, and foreign text in it cannot end the line, forge another one or
/// break its JSON.
package struct GatewayLogHandler: LogHandler {
  /// The size that a pipe takes in one piece.
  static let mostBytes = LineWriter.piece

  package var metadata: Logger.Metadata = [:]
  private let level: LogLevel
  private let format: LoggingConfiguration.Format
  private let write: @Sendable (String) -> Void

  /// - Parameter write: called with each line, without its end.
  package init(
    _ format: LoggingConfiguration.Format, level: LogLevel, write: @escaping @Sendable (String) -> Void
  ) {
    self.format = format
    self.level = level
    self.write = write
  }

  package init(
    _ format: LoggingConfiguration.Format, level: Logger.Level, write: @escaping @Sendable (String) -> Void
  ) {
    self.init(format, level: LogLevel(level), write: write)
  }

  /// Of all that write to this log.
  package var logLevel: Logger.Level {
    get { level.current }
    set { level.current = newValue }
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    // The event's own metadata takes precedence. Sorted, so that lines can be compared.
    let fields = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
    write(Self.line(format, event.level, "\(event.message)", fields.map(Field.init)))
  }

  /// One field of a line.
  struct Field {
    var key: String
    var value: String
    /// Whether JSON has its value without quotes.
    var isNumber = false
  }

  /// The longest line that fits. The longer texts are cut first.
  static func line(
    _ format: LoggingConfiguration.Format, _ level: Logger.Level, _ message: String, _ fields: [Field]
  ) -> String {
    let time = WallClock.timestamp()
    func line(_ limit: Int, _ fields: [Field]) -> String {
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
    _ time: String, _ level: Logger.Level, _ message: String, _ fields: [Field], _ limit: Int
  ) -> String {
    var line = "\(time) \(level.rawValue.uppercased()) "
    LogText.append(message, to: &line, limit: limit, .bare)
    for field in fields {
      line += " \(field.key)="
      var quoted = ""
      let isPlain = LogText.append(field.value, to: &quoted, limit: limit, .quoted)
      let isWord = !quoted.isEmpty && quoted.unicodeScalars.allSatisfy(\.isOfWord)
      line += isPlain && isWord ? quoted : "\"\(quoted)\""
    }
    return line
  }

  /// The most characters of a number that no reader rounds.
  fileprivate static let mostDigits = 15

  /// Whether it is a valid number in JSON (RFC 8259 section 6) that no reader rounds.
  fileprivate static func isNumber(_ text: String) -> Bool {
    guard (1...mostDigits).contains(text.utf8.count),
      text.utf8.count == 1 || !text.hasPrefix("0") || text.hasPrefix("0.")
    else { return false }
    let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return parts.count <= 2 && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy(\.isDigit) }
  }

  private static func json(
    _ time: String, _ level: Logger.Level, _ message: String, _ fields: [Field], _ limit: Int
  ) -> String {
    var line = ""
    let own = [
      Field(key: "time", value: time), Field(key: "level", value: level.rawValue),
      Field(key: "message", value: message),
    ]
    // A name must not appear twice in an object.
    let others = fields.filter { field in !own.contains { $0.key == field.key } }
    for field in own + others {
      line += line.isEmpty ? "{\"" : ",\""
      LogText.append(field.key, to: &line, limit: limit, .json)
      line += field.isNumber ? "\":" : "\":\""
      LogText.append(field.value, to: &line, limit: limit, .json)
      if !field.isNumber { line += "\"" }
    }
    return line + "}"
  }
}

extension GatewayLogHandler.Field {
  /// Fields whose values are numbers although their callers pass them as texts, among others. The value of another field, such as
  /// a user's name, may look like a number without being one: `Logger.MetadataValue.number` tells which are.
  private static let numbers: Set<String> = [
    "accept-failures", "before", "bytes", "bytes-in", "bytes-out", "code", "connections", "count", "dropped",
    "given-up-messages", "given-way", "held", "http-routes", "messages-in", "messages-out", "open-files",
    "others", "pause-us", "ping-timeouts", "protocol-violations", "refused", "refused-events", "resident",
    "seconds", "sessions", "slow-readers", "status", "suppressed", "threads", "tls-failures", "told",
    "vanished-clients", "wanted", "websocket-routes",
  ]

  fileprivate init(_ field: (key: String, value: Logger.MetadataValue)) {
    key = field.key
    value = "\(field.value)"
    isNumber =
      if case .stringConvertible(let number) = field.value, number is LogNumber {
        value.utf8.count <= GatewayLogHandler.mostDigits
      } else {
        Self.numbers.contains(key) && GatewayLogHandler.isNumber(value)
      }
  }
}

extension LineWriter {
  /// The log of `serve`: a bounded queue before standard error, so that no reactor waits for the reader of the log.
  package convenience init(
    forLogIn format: LoggingConfiguration.Format, to descriptor: Int32 = 2
  ) throws {
    try self.init(to: descriptor) { count, loss in
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
}
