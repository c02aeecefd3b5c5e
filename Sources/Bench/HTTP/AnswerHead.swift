import Bytes

/// Why the bytes of a server are no answer, or none that is wanted; a sentence.
struct AnswerFault: Error, Equatable, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }

  static func malformed(_ what: String) -> AnswerFault {
    AnswerFault("the server does not speak HTTP: \(what)")
  }
}

/// What has to be known of the head of an answer (RFC 9112). Read without an allocation unless it is a refusal, as a generator
/// reads a hundred thousand a second.
struct AnswerHead: Equatable {
  enum Body: Equatable {
    case sized(Int)
    case chunked
    /// It ends with the connection.
    case unbounded
  }

  var status = 0
  /// Empty if the status is that of a success.
  var phrase = ""
  var body = Body.unbounded
  /// The server ends the connection behind the answer.
  var isLast = false
  var isEventStream = false

  /// The most bytes of a head.
  static let longest = 16 * 1024

  /// - Returns: the head that begins at the offset, and where it ends; nil if it is not complete.
  static func read(_ bytes: RawSpan, at start: Int) throws(AnswerFault) -> (head: AnswerHead, end: Int)? {
    guard let first = bytes.lineEnd(from: start) else {
      try checkLength(bytes.byteCount - start)
      return nil
    }
    var head = try AnswerHead(statusLine: bytes.extracting(start..<first.content))
    var line = first.next
    while let end = bytes.lineEnd(from: line) {
      try checkLength(end.next - start)
      if end.content == line { return (head.settled, end.next) }
      try head.take(field: bytes.extracting(line..<end.content))
      line = end.next
    }
    try checkLength(bytes.byteCount - start)
    return nil
  }

  private static func checkLength(_ length: Int) throws(AnswerFault) {
    guard length < longest else { throw .malformed("the head of the answer is too long") }
  }

  /// RFC 9112 section 4: HTTP-version SP status-code SP [ reason-phrase ].
  private init(statusLine line: RawSpan) throws(AnswerFault) {
    let version: StaticString = "HTTP/1."
    guard line.byteCount >= 12, line.begins(with: version), line[8] == UInt8(ascii: " "),
      let status = line.extracting(9..<12).digits, status >= 100
    else { throw .malformed("the answer is not an HTTP/1 response") }
    self.status = status
    isLast = line[7] == UInt8(ascii: "0")
    if !(200...299).contains(status), line.byteCount > 13 { phrase = line.string(13..<line.byteCount) }
  }

  private mutating func take(field line: RawSpan) throws(AnswerFault) {
    // The lengths of the names that matter.
    if line.begins(inAnyCase: "content-length:") {
      guard let length = line.extracting(line.value(behind: 15)).digits, body != .chunked else {
        throw .malformed("its Content-Length is not valid")
      }
      body = .sized(length)
    } else if line.begins(inAnyCase: "transfer-encoding:") {
      guard line.extracting(line.value(behind: 18)).begins(inAnyCase: "chunked") else {
        throw .malformed("its Transfer-Encoding is not known")
      }
      body = .chunked
    } else if line.begins(inAnyCase: "connection:") {
      let value = line.extracting(line.value(behind: 11))
      if value.begins(inAnyCase: "close") { isLast = true }
      if value.begins(inAnyCase: "keep-alive") { isLast = false }
    } else if line.begins(inAnyCase: "content-type:") {
      isEventStream = line.extracting(line.value(behind: 13)).begins(inAnyCase: "text/event-stream")
    }
  }

  /// RFC 9112 section 6.3: these have no body, and a body without a length ends with the connection.
  private var settled: AnswerHead {
    var head = self
    if (100...199).contains(status) || status == 204 || status == 304 { head.body = .sized(0) }
    if head.body == .unbounded { head.isLast = true }
    return head
  }
}

extension RawSpan {
  /// The end of the line that begins at the offset: of its content, and with its line feed. Nil if it is not complete.
  func lineEnd(from start: Int) -> (content: Int, next: Int)? {
    let pattern = UInt64(UInt8(ascii: "\n")) &* 0x0101_0101_0101_0101
    var offset = skipWords(from: start) { word in
      let difference = word ^ pattern
      return (difference &- 0x0101_0101_0101_0101) & ~difference
    }
    while offset < byteCount, self[offset] != UInt8(ascii: "\n") { offset += 1 }
    guard offset < byteCount else { return nil }
    let hasReturn = offset > start && self[offset - 1] == UInt8(ascii: "\r")
    return (hasReturn ? offset - 1 : offset, offset + 1)
  }

  /// Whether the bytes begin with a text in small letters, in letters of either kind.
  fileprivate func begins(inAnyCase text: StaticString) -> Bool {
    let expected = text.rawBytes
    guard byteCount >= expected.byteCount else { return false }
    for offset in 0..<expected.byteCount {
      let byte = self[offset]
      guard byte == expected[offset] || byte.isLetter && byte | 0x20 == expected[offset] else { return false }
    }
    return true
  }

  /// Where a field's value is, without the white space around it.
  fileprivate func value(behind name: Int) -> Range<Int> {
    var start = name
    var end = byteCount
    while start < end, self[start] == UInt8(ascii: " ") || self[start] == UInt8(ascii: "\t") { start += 1 }
    while end > start, self[end - 1] == UInt8(ascii: " ") || self[end - 1] == UInt8(ascii: "\t") { end -= 1 }
    return start..<end
  }

  /// A number of at most twelve digits; nil if the bytes are something else.
  fileprivate var digits: Int? {
    guard (1...12).contains(byteCount) else { return nil }
    var number = 0
    for offset in 0..<byteCount {
      guard self[offset].isDigit else { return nil }
      number = number * 10 + Int(self[offset] - UInt8(ascii: "0"))
    }
    return number
  }
}
