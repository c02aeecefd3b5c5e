import TestSupport
import Testing

@testable import WebSocketCore

private let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
private let final = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n"
private let head = ResponseHead(
  status: 403, phrase: "Forbidden", fields: [HeaderField(name: "content-length", value: "2")])

extension ResponseReader {
  fileprivate mutating func read(_ text: some StringProtocol) -> Outcome {
    read(Array(text.utf8))
  }

  fileprivate mutating func read(_ bytes: [UInt8]) -> Outcome {
    unsafe read(bytes.span.bytes)
  }
}

struct ResponseReaderTests {
  @Test func `interim answers are passed over, and what is behind the head is kept`() {
    var reader = ResponseReader()
    #expect(reader.read(interim + interim + final + "no") == .complete(head))
    #expect(reader.rest == Array("no".utf8))
  }

  @Test func `an answer is the same in any pieces`() {
    let bytes = Array((interim + interim + final + "no").utf8)
    var random = SplitMix(seed: 1)
    for _ in 0..<200 {
      var reader = ResponseReader()
      var left = bytes[...]
      var outcome = ResponseReader.Outcome.incomplete
      while outcome == .incomplete, !left.isEmpty {
        let count = Int.random(in: 1...min(left.count, 20), using: &random)
        outcome = reader.read(Array(left.prefix(count)))
        left = left.dropFirst(count)
      }
      #expect(outcome == .complete(head))
      #expect(reader.rest + left == Array("no".utf8))
    }
  }

  @Test func `an answer that switches protocols is a final one`() {
    var reader = ResponseReader()
    let outcome = reader.read("HTTP/1.1 101 Switching Protocols\r\n\r\nframes")
    #expect(outcome == .complete(ResponseHead(status: 101, phrase: "Switching Protocols", fields: [])))
    #expect(reader.rest == Array("frames".utf8))
  }

  @Test func `more interim answers than anyone needs are refused, in one burst or one by one`() {
    let short = "HTTP/1.1 100 C\r\n\r\n"
    var reader = ResponseReader()
    let most = ResponseReader.mostInterimAnswers
    #expect(reader.read(String(repeating: short, count: most)) == .incomplete)
    #expect(reader.read(short) == .malformed("the server sent more than 32 interim answers"))
    reader = ResponseReader()
    #expect(
      reader.read(String(repeating: short, count: 6000) + final)
        == .malformed("the server sent more than 32 interim answers"))
  }

  @Test func `heads that together are longer than 64 KiB are refused, whatever they are made of`() {
    let tooLong = ResponseReader.Outcome.malformed(
      "the head of the answer does not end within 64 KiB, interim answers included")
    let lines = "HTTP/1.1 100 C\r\n" + String(repeating: "a: bbbbbbbbbbbbbbbb\r\n", count: 200) + "\r\n"
    for (first, again) in [
      ("", lines), ("HTTP/1.1 200 ", "x"), ("HTTP/1.1 200 OK\r\na: ", "x"), ("", "\r\n"),
    ] {
      var reader = ResponseReader()
      var outcome = reader.read(first)
      var count = first.utf8.count
      let block = String(repeating: again, count: max(1, 1000 / again.utf8.count))
      while outcome == .incomplete {
        outcome = reader.read(block)
        count += block.utf8.count
        guard count < 2 * ResponseReader.longest else { break }
      }
      #expect(outcome == tooLong)
    }
  }

  @Test(arguments: [
    ("HTTP/1.1 200 OK", ResponseHead(status: 200, phrase: "OK", fields: [])),
    ("HTTP/1.0 599 a  b ", ResponseHead(status: 599, phrase: "a  b ", fields: [], minorVersion: 0)),
    ("HTTP/1.1 200 ", ResponseHead(status: 200, phrase: "", fields: [])),
    ("HTTP/1.1 200", ResponseHead(status: 200, phrase: "", fields: [])),
    ("HTTP/1.1 200OK", nil), ("HTTP/1.1 2000", nil), ("HTTP/1.1 20", nil), ("HTTP/1.1 20 OK", nil),
    ("HTTP/1.1  200 OK", nil), ("HTTP/1.1 +20 OK", nil), ("HTTP/1.1 099 OK", nil), ("HTTP/1.1 600 OK", nil),
    ("HTTP/1.1\t200 OK", nil), ("HTTP/1.2 200 OK", nil), ("HTTP/2 200 OK", nil), ("http/1.1 200 OK", nil),
    ("200 OK", nil), ("HTTP/1.1 ", nil),
  ]) func `a status line is read strictly`(_ row: (line: String, head: ResponseHead?)) {
    var reader = ResponseReader()
    let expected: ResponseReader.Outcome =
      row.head.map { .complete($0) } ?? .malformed("the answer is not an HTTP/1 response")
    #expect(reader.read(row.line + "\r\n\r\n") == expected)
  }

  @Test func `a head of too many fields is refused`() {
    var reader = ResponseReader()
    let fields = String(repeating: "a: b\r\n", count: 257)
    #expect(
      reader.read("HTTP/1.1 200 OK\r\n" + fields + "\r\n")
        == .malformed("the head of the answer has more than 256 fields"))
  }

  @Test func `a head that comes byte by byte is looked at once`() {
    // Anew from its front each time would be 2,000,000,000 steps, minutes in a debug build.
    var reader = ResponseReader()
    var outcome = reader.read("HTTP/1.1 200 OK\r\na: ")
    for _ in 0..<60_000 { outcome = reader.read([UInt8(ascii: "x")]) }
    #expect(outcome == .incomplete)
    guard case .complete(let head) = reader.read("\r\n\r\n") else {
      Issue.record("not complete")
      return
    }
    #expect(head.fields[0].value.utf8.count == 60_000)
  }
}
