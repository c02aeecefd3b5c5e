import TestSupport
import Testing

@testable import WebSocketCore

/// What became of bytes behind a head.
struct BodyOutcome: Equatable {
  var content: [UInt8] = []
  var fault: RequestFault?
  /// What follows the body; nil if it is not complete.
  var rest: [UInt8]?
}

/// Reads the bytes in pieces.
///
/// - Parameter next: the length of each piece.
private func read(_ bytes: [UInt8], _ framing: BodyFraming, pieces next: () -> Int) -> BodyOutcome {
  var reader = BodyReader(framing)
  var outcome = BodyOutcome()
  var start = 0
  repeat {
    let end = min(bytes.count, start + max(1, next()))
    let piece = Array(bytes[start..<end])
    var offset = 0
    reading: while true {
      switch unsafe reader.next(in: piece.span.bytes, at: &offset) {
      case .content(let range):
        #expect(!range.isEmpty && range.upperBound == offset)
        outcome.content += piece[range]
      case .incomplete:
        #expect(offset == piece.count)
        break reading
      case .complete:
        outcome.rest = Array(bytes[(start + offset)...])
        return outcome
      case .malformed(let fault):
        outcome.fault = fault
        return outcome
      }
    }
    start = end
  } while start < bytes.count
  return outcome
}

private func read(_ text: String, _ framing: BodyFraming) -> BodyOutcome {
  read(Array(text.utf8), framing) { text.utf8.count }
}

private func complete(_ content: String, rest: String = "") -> BodyOutcome {
  BodyOutcome(content: Array(content.utf8), rest: Array(rest.utf8))
}

private let noSize = RequestFault.badRequest("a chunk of the body does not begin with its size")
private let noLineEnd = RequestFault.badRequest("a line does not end with CR and LF where it should")
private let badField = RequestFault.badRequest(
  "a header name is not a valid token, or a header value has control characters")

struct BodyReaderTests {
  static let bodies: [(String, BodyFraming, BodyOutcome)] = [
    ("GET", .none, complete("", rest: "GET")),
    ("GET", .length(0), complete("", rest: "GET")),
    ("abcGET", .length(3), complete("abc", rest: "GET")),
    ("0\r\n\r\nGET", .chunked, complete("", rest: "GET")),
    ("000\r\n\r\n", .chunked, complete("")),
    (
      "5\r\n\r\n\r\n\n\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\nx", .chunked,
      complete("\r\n\r\n\n0123456789", rest: "x")
    ),
    ("a\r\n0123456789\r\n00\r\nX-A: 1\r\nX-B:\r\n\r\n", .chunked, complete("0123456789")),
    ("1;a;b = c\r\n0\r\n0;\tx\r\n\r\n", .chunked, complete("0")),
  ]

  @Test(arguments: bodies)
  func `a body ends where its framing says, however it is split`(
    _ text: String, _ framing: BodyFraming, _ expected: BodyOutcome
  ) {
    let bytes = Array(text.utf8)
    #expect(read(bytes, framing) { 1 } == expected)
    for first in 1...bytes.count {
      var isFirst = true
      let outcome = read(bytes, framing) {
        defer { isFirst = false }
        return isFirst ? first : bytes.count
      }
      #expect(outcome == expected, "after \(first) bytes")
    }
  }

  @Test(arguments: bodies)
  func `a body that breaks off is incomplete, and never malformed`(
    _ text: String, _ framing: BodyFraming, _ expected: BodyOutcome
  ) {
    let bytes = Array(text.utf8)
    let length = bytes.count - (expected.rest?.count ?? 0)
    for count in 1..<max(length, 1) {
      let outcome = read(Array(bytes[..<count]), framing) { count }
      #expect(outcome.rest == nil && outcome.fault == nil)
      #expect(expected.content.starts(with: outcome.content))
    }
  }

  @Test(
    arguments: [
      ("zz\r\n", noSize), ("\r\n0\r\n\r\n", noSize), (";a\r\n", noSize), (" 5\r\n", noSize),
      ("5 \r\n", noSize),
      ("-5\r\n", noSize), ("+5\r\n", noSize), ("0x5\r\n", noSize), ("fffffffffffffffff\r\n", noSize),
      ("0000000000000000\r\n", noSize), ("5\n01234", noSize), ("5\r01234", noLineEnd),
      ("1\r\nab\r\n", noLineEnd),
      ("1\r\na\n", noLineEnd), ("1\r\na\rx", noLineEnd), ("1;a\nb\r\n", badField), ("1;\u{0}\r\n", badField),
      ("0\r\n\n", badField), ("0\r\n\rX", noLineEnd), ("0\r\n X: 1\r\n\r\n", badField),
      ("0\r\nX : 1\r\n\r\n", badField),
      ("0\r\n: 1\r\n\r\n", badField), ("0\r\nX\r\n\r\n", badField), ("0\r\nX: \u{1}\r\n\r\n", badField),
      ("0\r\nX: 1\n\r\n", badField), ("0\r\nX: 1\rY", noLineEnd),
    ] as [(String, RequestFault)])
  func `what two servers could understand differently is a fault, however it is split`(
    _ text: String, _ fault: RequestFault
  ) {
    #expect(read(text, .chunked).fault == fault)
    #expect(read(Array(text.utf8), .chunked) { 1 }.fault == fault)
  }

  @Test func `extensions and trailers are bounded all together`() {
    let most = BodyReader.mostBesideContent
    let word = ";" + String(repeating: "x", count: 99)
    let chunks = { (count: Int) in String(repeating: "1\(word)\r\na\r\n", count: count) + "0\r\n" }
    #expect(read(chunks(most / 100) + "\r\n", .chunked).rest == [])
    #expect(read(chunks(most / 100 + 1) + "\r\n", .chunked).fault == .headTooLong)
    let trailer = String(repeating: "y", count: most % 100 - 2)
    #expect(read(chunks(most / 100) + "X:\(trailer)\r\n\r\n", .chunked).rest == [])
    #expect(read(chunks(most / 100) + "X:\(trailer)y\r\n\r\n", .chunked).fault == .headTooLong)
    #expect(read("0\r\n" + String(repeating: "X: y\r\n", count: most), .chunked).fault == .headTooLong)
  }

  @Test func `a fault stays one`() {
    var reader = BodyReader(.chunked)
    for text in ["z", "0\r\n\r\n"] {
      let bytes = Array(text.utf8)
      var offset = 0
      #expect(unsafe reader.next(in: bytes.span.bytes, at: &offset) == .malformed(noSize))
    }
    #expect(!reader.isComplete)
  }

  @Test(arguments: 0..<300)
  func `whatever comes, the outcome does not depend on how it is split`(_ seed: UInt64) {
    var random = SplitMix(seed: seed)
    let whole = Self.bodies.filter { $0.1 == .chunked }.map(\.0).shuffled(using: &random).joined()
    var bytes = Array(whole.utf8)
    for _ in 0..<Int.random(in: 0...6, using: &random) where bytes.count > 1 {
      let place = Int.random(in: bytes.indices, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes.remove(at: place)
      case 2: bytes.insert(contentsOf: [0x0D, 0x0A, 0x30].shuffled(using: &random), at: place)
      default: bytes = Array(bytes[..<max(place, 1)])
      }
    }
    let all = read(bytes, .chunked) { bytes.count }
    #expect(read(bytes, .chunked) { 1 } == all)
    #expect(read(bytes, .chunked) { Int.random(in: 1...40, using: &random) } == all)
    // Content comes from the bytes before the rest, and less than all of them.
    #expect(all.content.count + (all.rest?.count ?? 0) <= bytes.count)
  }
}

struct BodyFramingTests {
  private func framing(_ fields: String, version: String = "1.1") throws -> Result<BodyFraming, RequestFault>
  {
    let text = "POST / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n"
    guard case .complete(let head, _) = unsafe RequestHead.parse(Array(text.utf8).span.bytes) else {
      throw RequestFault.badRequest("the test's own head does not parse")
    }
    return Result { () throws(RequestFault) in try head.bodyFraming() }
  }

  @Test(
    arguments: [
      ("", .none), ("Content-Length: 0\r\n", .length(0)), ("content-length:  0012 \r\n", .length(12)),
      ("Transfer-Encoding: Chunked\r\n", .chunked),
      ("Content-Length: 9223372036854775807\r\n", .length(.max)),
      ("Content-Length: 18446744073709551615\r\n", .length(.max)),
    ] as [(String, BodyFraming)])
  func `one of the two fields says how long the body is`(_ fields: String, _ expected: BodyFraming) throws {
    #expect(try framing(fields) == .success(expected))
  }

  @Test(
    arguments: [
      ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "beside a Content-Length header"),
      ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "beside a Content-Length header"),
      ("Transfer-Encoding: gzip, chunked\r\n", "a transfer coding other than chunked"),
      (
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "a transfer coding other than chunked"
      ),
      ("Transfer-Encoding: identity\r\n", "a transfer coding other than chunked"),
      ("Content-Length: 1\r\nX: y\r\nContent-Length: 1\r\n", "more than one Content-Length header"),
      ("Content-Length: \r\n", "is not one number"), ("Content-Length: 1, 1\r\n", "is not one number"),
      ("Content-Length: -1\r\n", "is not one number"), ("Content-Length: 0x1\r\n", "is not one number"),
      ("Content-Length: 12345678901234567890123\r\n", "the number in the Content-Length header is too large"),
    ] as [(String, String)])
  func `anything else is refused with the reason`(_ fields: String, _ reason: String) throws {
    guard case .failure(.badRequest(let text)) = try framing(fields) else {
      Issue.record("it is accepted")
      return
    }
    #expect(text.hasSuffix(reason))
  }

  @Test func `an old client has no chunks`() throws {
    #expect(
      try framing("Transfer-Encoding: chunked\r\n", version: "1.0")
        == .failure(.badRequest("HTTP/1.0 does not support Transfer-Encoding")))
  }
}
