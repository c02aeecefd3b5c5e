import Bytes
import WebSocketCore

/// Takes the answers of one connection.
protocol AnswerSink: AnyObject {
  func head(_ head: AnswerHead) throws(AnswerFault)

  /// - Parameter bytes: a part of the body; valid during the call only.
  func body(_ bytes: RawSpan) throws(AnswerFault)

  /// - Parameter isLast: the server ends the connection.
  func ended(isLast: Bool) throws(AnswerFault)
}

/// Reads one HTTP/1 answer after the other from bytes as they arrive, and skips interim answers. It keeps the bytes of heads only, at
/// most 16 KiB.
struct AnswerReader {
  private enum Place {
    case head
    /// In a body whose end is known.
    case body(BodyReader)
    /// In a body that ends with the connection.
    case unbounded
  }

  private var place = Place.head
  private var isLast = false
  /// The beginning of a head that is not complete.
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

  /// - Returns: how many of the bytes were read. The others belong to a head that is not complete.
  private mutating func readAll(_ bytes: RawSpan, into sink: any AnswerSink) throws(AnswerFault) -> Int {
    var offset = 0
    while offset < bytes.byteCount {
      switch place {
      case .head:
        guard let (head, end) = try AnswerHead.read(bytes, at: offset) else { return offset }
        offset = end
        try begin(head, into: sink)
      case .body(var reader):
        try pass(bytes, &offset, &reader, into: sink)
        if case .body = place { place = .body(reader) }
      case .unbounded:
        try sink.body(bytes.extracting(offset..<bytes.byteCount))
        offset = bytes.byteCount
      }
    }
    return offset
  }

  private mutating func pass(
    _ bytes: RawSpan, _ offset: inout Int, _ reader: inout BodyReader, into sink: any AnswerSink
  ) throws(AnswerFault) {
    while !reader.isComplete {
      switch reader.next(in: bytes, at: &offset) {
      case .content(let range): try sink.body(bytes.extracting(range))
      case .incomplete: return
      case .complete: break
      case .malformed(let fault): throw .malformed(Self.words(for: fault))
      }
    }
    try end(into: sink)
  }

  private static func words(for fault: RequestFault) -> String {
    // A body has no other fault than these two.
    guard case .badRequest(let words) = fault else { return "too much stands between the chunks of its body" }
    return words
  }

  private mutating func begin(_ head: AnswerHead, into sink: any AnswerSink) throws(AnswerFault) {
    if (100...199).contains(head.status) {
      guard head.status != 101 else { throw .malformed("the server switched protocols") }
      return
    }
    isLast = head.isLast
    try sink.head(head)
    switch head.body {
    case .sized(0): try end(into: sink)
    case .sized(let length): place = .body(BodyReader(.length(length)))
    case .chunked: place = .body(BodyReader(.chunked))
    case .unbounded: place = .unbounded
    }
  }

  private mutating func end(into sink: any AnswerSink) throws(AnswerFault) {
    place = .head
    try sink.ended(isLast: isLast)
  }
}
