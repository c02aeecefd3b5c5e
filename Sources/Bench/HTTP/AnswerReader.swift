import Bytes

/// Takes the answers of one connection.
protocol AnswerSink: AnyObject {
  func head(_ head: AnswerHead) throws(AnswerFault)

  /// - Parameter bytes: a part of the body; valid during the call only.
  func body(_ bytes: RawSpan) throws(AnswerFault)

  /// - Parameter isLast: the server ends the connection.
  func ended(isLast: Bool) throws(AnswerFault)
}

/// Reads one HTTP/1 answer after the other from bytes as they arrive, and skips interim answers. It keeps the bytes of heads and
/// lines only, at most 16 KiB.
struct AnswerReader {
  private enum Place: Equatable {
    case head
    case sized(left: Int)
    case chunkSize
    case chunk(left: Int)
    case chunkEnd
    case trailer
    case unbounded
  }

  private var place = Place.head
  private var isLast = false
  /// The beginning of a head or of a line that is not complete.
  private var kept: [UInt8] = []

  mutating func read(_ new: RawSpan, into sink: any AnswerSink) throws(AnswerFault) {
    guard !kept.isEmpty else {
      let read = try readAll(new, into: sink)
      if read < new.byteCount { kept.append(copying: new.extracting(read..<new.byteCount)) }
      return
    }
    var known = kept
    kept = []
    known.append(copying: new)
    let read = try readAll(known.rawBytes, into: sink)
    if read < known.count { kept = Array(known[read...]) }
  }

  /// Reads the bytes of a client's server; the client fails where they are no answers.
  mutating func read(_ new: RawSpan, of client: some LoadClient & AnswerSink) {
    do throws(AnswerFault) {
      try read(new, into: client)
    } catch {
      client.fail(error.description)
    }
  }

  /// - Returns: how many of the bytes were read. The others belong to a head or a line that is not complete.
  private mutating func readAll(_ bytes: RawSpan, into sink: any AnswerSink) throws(AnswerFault) -> Int {
    var offset = 0
    while offset < bytes.byteCount {
      let before = (offset, place)
      try readSome(bytes, &offset, into: sink)
      if before == (offset, place) { break }
    }
    return offset
  }

  private mutating func readSome(_ bytes: RawSpan, _ offset: inout Int, into sink: any AnswerSink)
    throws(AnswerFault)
  {
    switch place {
    case .head:
      guard let (head, end) = try AnswerHead.read(bytes, at: offset) else { return }
      offset = end
      try begin(head, into: sink)
    case .sized(let left):
      place = .sized(left: left - (try pass(bytes, &offset, atMost: left, into: sink)))
      if place == .sized(left: 0) { try end(into: sink) }
    case .chunk(let left):
      let rest = left - (try pass(bytes, &offset, atMost: left, into: sink))
      place = rest == 0 ? .chunkEnd : .chunk(left: rest)
    case .unbounded: _ = try pass(bytes, &offset, atMost: .max, into: sink)
    case .chunkSize, .chunkEnd, .trailer:
      guard let line = bytes.lineEnd(from: offset) else {
        guard bytes.byteCount - offset < AnswerHead.longest else {
          throw .malformed("a line of its body is too long")
        }
        return
      }
      let content = bytes.extracting(offset..<line.content)
      offset = line.next
      try take(content, into: sink)
    }
  }

  private func pass(
    _ bytes: RawSpan, _ offset: inout Int, atMost most: Int, into sink: any AnswerSink
  ) throws(AnswerFault) -> Int {
    let count = min(most, bytes.byteCount - offset)
    try sink.body(bytes.extracting(offset..<(offset + count)))
    offset += count
    return count
  }

  private mutating func begin(_ head: AnswerHead, into sink: any AnswerSink) throws(AnswerFault) {
    if (100...199).contains(head.status) {
      guard head.status != 101 else { throw .malformed("the server switched protocols") }
      return
    }
    isLast = head.isLast
    switch head.body {
    case .sized(let length): place = .sized(left: length)
    case .chunked: place = .chunkSize
    case .unbounded: place = .unbounded
    }
    try sink.head(head)
    if place == .sized(left: 0) { try end(into: sink) }
  }

  private mutating func end(into sink: any AnswerSink) throws(AnswerFault) {
    place = .head
    try sink.ended(isLast: isLast)
  }

  /// A line of the chunked coding (RFC 9112 section 7.1).
  private mutating func take(_ line: RawSpan, into sink: any AnswerSink) throws(AnswerFault) {
    switch place {
    case .chunkSize:
      guard let size = Self.chunkSize(line) else { throw .malformed("a chunk of its body has no valid size") }
      place = size == 0 ? .trailer : .chunk(left: size)
    case .chunkEnd:
      guard line.isEmpty else { throw .malformed("a chunk of its body does not end where it should") }
      place = .chunkSize
    case .trailer: if line.isEmpty { try end(into: sink) }
    case .head, .sized, .chunk, .unbounded: break
    }
  }

  /// Hexadecimal digits, and extensions that are ignored.
  private static func chunkSize(_ line: RawSpan) -> Int? {
    var size = 0
    var count = 0
    while count < line.byteCount, let digit = line[count].hexadecimalValue {
      guard count < 12 else { return nil }
      size = size << 4 | Int(digit)
      count += 1
    }
    let isWhole =
      count == line.byteCount
      || [UInt8(ascii: ";"), UInt8(ascii: " "), UInt8(ascii: "\t")].contains(line[count])
    return count > 0 && isWhole ? size : nil
  }
}
