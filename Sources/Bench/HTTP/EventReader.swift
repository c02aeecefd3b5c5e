import Bytes

/// Reads the data of server-sent events from a stream as it arrives (HTML, section 9.2.6). Lines end with LF or CRLF.
struct EventReader {
  /// The most bytes of an event.
  let longest: Int
  /// The beginning of a line that is not complete.
  private var kept: [UInt8] = []
  /// The data lines of the event so far.
  private var data: [UInt8] = []
  private var hasData = false

  /// "data", the first character lowest.
  private static let name = UInt32(littleEndian: 0x6174_6164)

  init(longest: Int) {
    self.longest = longest
  }

  /// - Parameter event: gets the data of each event that has some; valid during the call only.
  mutating func read(_ new: RawSpan, _ event: (RawSpan) throws(AnswerFault) -> Void) throws(AnswerFault) {
    guard !kept.isEmpty else {
      let read = try readLines(new, event)
      try keep(new.extracting(read..<new.byteCount))
      return
    }
    // Only the line that began before is put together.
    guard let end = new.lineEnd(from: 0) else { return try keep(new) }
    var line = kept
    kept = []
    line.append(copying: new.extracting(0..<end.next))
    _ = try readLines(line.rawBytes, event)
    let rest = new.extracting(end.next..<new.byteCount)
    let read = try readLines(rest, event)
    try keep(rest.extracting(read..<rest.byteCount))
  }

  private mutating func keep(_ rest: RawSpan) throws(AnswerFault) {
    guard kept.count + data.count + rest.byteCount <= longest else {
      throw AnswerFault("the server sent an event of more than \(longest >> 20) MiB")
    }
    kept.append(copying: rest)
  }

  /// - Returns: the bytes of all complete lines.
  private mutating func readLines(
    _ bytes: RawSpan, _ event: (RawSpan) throws(AnswerFault) -> Void
  ) throws(AnswerFault) -> Int {
    var start = 0
    while let end = bytes.lineEnd(from: start) {
      if end.content == start {
        if hasData { try event(data.rawBytes) }
        data.removeAll(keepingCapacity: true)
        hasData = false
      } else {
        try take(bytes.extracting(start..<end.content))
      }
      start = end.next
    }
    return start
  }

  private mutating func take(_ line: RawSpan) throws(AnswerFault) {
    guard line.byteCount >= 5, line.integer(at: 0, as: UInt32.self) == Self.name, line[4] == UInt8(ascii: ":")
    else { return }
    guard data.count + line.byteCount <= longest else {
      throw AnswerFault("the server sent an event of more than \(longest >> 20) MiB")
    }
    if hasData { data.append(UInt8(ascii: "\n")) }
    hasData = true
    let start = line.byteCount > 5 && line[5] == UInt8(ascii: " ") ? 6 : 5
    data.append(copying: line.extracting(start..<line.byteCount))
  }
}
