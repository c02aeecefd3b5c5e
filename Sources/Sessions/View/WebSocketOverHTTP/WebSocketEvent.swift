import Bytes

/// One event of `application/websocket-events`: what has happened to a WebSocket connection, or what is to happen to it.
///
/// A body is any number of events. `OPEN` CRLF has no content; `TEXT 5` CRLF `hello` CRLF has, and says how many bytes in hexadecimal.
/// Source: pushpin.org/docs/protocols/websocket-over-http.
struct WebSocketEvent: Sendable, Equatable {
  enum Kind: String, Sendable, CaseIterable {
    case open = "OPEN"
    case text = "TEXT"
    case binary = "BINARY"
    case ping = "PING"
    case pong = "PONG"
    case close = "CLOSE"
    /// The connection has ended without a close frame, or is not known.
    case disconnect = "DISCONNECT"
  }

  var kind: Kind
  /// Nil is not the same as no bytes: `CLOSE` and `CLOSE 0`.
  var content: [UInt8]?

  init(_ kind: Kind, _ content: [UInt8]? = nil) {
    self.kind = kind
    self.content = content
  }

  init(_ kind: Kind, _ content: String) {
    self.init(kind, Array(content.utf8))
  }

  /// Why a body cannot be read, in a few words.
  struct Fault: Error, Sendable, Equatable {
    var message: String
    /// In bytes from the start of the body.
    var offset: Int

    var description: String { "\(message) at byte \(offset)" }
  }
}

// MARK: - Writing

extension WebSocketEvent {
  static func encode(_ events: [WebSocketEvent]) -> [UInt8] {
    var body: [UInt8] = []
    body.reserveCapacity(events.reduce(0) { $0 + 24 + ($1.content?.count ?? 0) })
    for event in events { event.append(to: &body) }
    return body
  }

  private func append(to body: inout [UInt8]) {
    body.append(contentsOf: kind.rawValue.utf8)
    if let content {
      body.append(UInt8(ascii: " "))
      body.append(contentsOf: String(content.count, radix: 16).utf8)
      body.append(contentsOf: Self.lineEnd)
      body.append(contentsOf: content)
    }
    body.append(contentsOf: Self.lineEnd)
  }

  private static let lineEnd: [UInt8] = [0x0D, 0x0A]
}

// MARK: - Reading

extension WebSocketEvent {
  /// The most events of one body.
  static let most = 10_000
  /// More digits than any body is long.
  private static let mostDigits = 8
  private static let longestLine = 24

  /// Reads a whole body. Empty for an empty one.
  static func decode(_ body: [UInt8]) throws(Fault) -> [WebSocketEvent] {
    var events: [WebSocketEvent] = []
    var position = 0
    while position < body.count {
      guard events.count < most else {
        throw Fault(message: "there are more than \(most) events", offset: position)
      }
      events.append(try read(body, &position))
    }
    return events
  }

  private static func read(_ body: [UInt8], _ position: inout Int) throws(Fault) -> WebSocketEvent {
    let start = position
    let line = try line(body, &position)
    let space = line.firstIndex(of: UInt8(ascii: " ")) ?? line.endIndex
    let name = String(decoding: line[..<space], as: UTF8.self)
    guard let kind = Kind(rawValue: name) else {
      throw Fault(message: "\"\(name)\" is not an event", offset: start)
    }
    guard space < line.endIndex else { return WebSocketEvent(kind) }
    guard let length = length(line[(space + 1)...]) else {
      throw Fault(message: "the length of a \(name) is not a hexadecimal number", offset: space + 1)
    }
    guard length <= body.count - position else {
      throw Fault(message: "the content of a \(name) is shorter than its length", offset: position)
    }
    let content = Array(body[position..<position + length])
    position += length
    guard isLineEnd(body, at: position) else {
      throw Fault(message: "the content of a \(name) does not end with CR LF", offset: position)
    }
    position += lineEnd.count
    return WebSocketEvent(kind, content)
  }

  private static func line(_ body: [UInt8], _ position: inout Int) throws(Fault) -> ArraySlice<UInt8> {
    let start = position
    let end = min(body.count, start + longestLine)
    guard let last = (start..<end).first(where: { isLineEnd(body, at: $0) }) else {
      throw Fault(message: "the line of an event does not end with CR LF", offset: start)
    }
    position = last + lineEnd.count
    return body[start..<last]
  }

  private static func isLineEnd(_ body: [UInt8], at position: Int) -> Bool {
    position + 1 < body.count && body[position] == lineEnd[0] && body[position + 1] == lineEnd[1]
  }

  private static func length(_ digits: ArraySlice<UInt8>) -> Int? {
    guard (1...mostDigits).contains(digits.count) else { return nil }
    var length = 0
    for digit in digits {
      guard let value = digit.hexadecimalValue else { return nil }
      length = length << 4 | Int(value)
    }
    return length
  }
}
