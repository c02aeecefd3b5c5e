import Bytes
package import ChannelLayers
package import Transport

/// Writes one event of a stream in the format of `EventSource` (the HTML standard, section 9.2: server-sent events).
package struct ServerSentEvent {
  /// The id that the client sends when it connects again.
  package var id: EventPosition?
  /// The name that a page listens for; nil is `message`.
  package var name: StaticString?

  package init(id: EventPosition? = nil, name: StaticString? = nil) {
    self.id = id
    self.name = name
  }

  /// Appends the event with its data. Each line of the data becomes a field of its own, and all line ends arrive as LF.
  package func append(_ data: [UInt8], to stream: SharedBytes) {
    if let id { append("id: \(id)\n", to: stream) }
    if let name {
      append("event: ", to: stream)
      append(name, to: stream)
      append("\n", to: stream)
    }
    var start = 0
    for end in 0...data.count {
      let isEnd = end == data.count
      guard isEnd || Self.isLineEnd(data[end]) else { continue }
      // CR LF is one line end.
      if !isEnd, data[end] == Self.lineFeed, end > 0, data[end - 1] == Self.carriageReturn {
        start = end + 1
        continue
      }
      append("data: ", to: stream)
      stream.append(data.rawBytes.extracting(start..<end))
      append("\n", to: stream)
      start = end + 1
    }
    append("\n", to: stream)
  }

  /// Appends only the id, without an event. The client remembers it.
  package func appendID(to stream: SharedBytes) {
    if let id { append("id: \(id)\n\n", to: stream) }
  }

  /// Appends only the time after which the client connects again when the stream has ended, without an event.
  package static func appendRetry(_ time: Duration, to stream: SharedBytes) {
    let milliseconds = (time.wholeNanoseconds + 999_999) / 1_000_000
    stream.append(Array("retry: \(milliseconds)\n\n".utf8).rawBytes)
  }

  private static let lineFeed = UInt8(ascii: "\n")
  private static let carriageReturn = UInt8(ascii: "\r")

  private static func isLineEnd(_ byte: UInt8) -> Bool {
    byte == lineFeed || byte == carriageReturn
  }

  private func append(_ text: StaticString, to stream: SharedBytes) {
    stream.append(text.rawBytes)
  }

  private func append(_ text: String, to stream: SharedBytes) {
    stream.append(Array(text.utf8).rawBytes)
  }
}
