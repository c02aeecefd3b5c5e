import Bytes
import Testing
import WebSocketCore

@testable import Sessions

struct HTTPAnswerReaderTests {
  /// What is read of an answer in pieces of some bytes; nil for all at once.
  private func read(_ text: String, by size: Int? = nil, ends: Bool = false) -> HTTPAnswerReader.Step {
    var reader = HTTPAnswerReader(longest: 64)
    let bytes = Array(text.utf8)
    var start = 0
    while start < bytes.count {
      let end = min(bytes.count, start + (size ?? bytes.count))
      let step = reader.read(bytes.rawBytes.extracting(start..<end))
      if step != .incomplete { return step }
      start = end
    }
    return ends ? reader.end() : .incomplete
  }

  private static func answer(_ status: Int, _ body: String?, _ fields: (String, String)...)
    -> UpstreamFetcher.Answer
  {
    .init(
      status: status, fields: fields.map { HeaderField(name: $0, value: $1) },
      body: body.map { Array($0.utf8) })
  }

  private static let whole: [(String, HTTPAnswerReader.Step)] = [
    (
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
      .complete(answer(200, "{}", ("content-length", "2")), .anotherRequest)
    ),
    ("HTTP/1.1 204 No Content\r\n\r\n", .complete(answer(204, ""), .anotherRequest)),
    (
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 X\r\n\r\n",
      .complete(answer(204, ""), .anotherRequest)
    ),
    (
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n",
      .complete(answer(200, "abcde", ("transfer-encoding", "chunked")), .anotherRequest)
    ),
    (
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
      .complete(answer(200, "a", ("connection", "close"), ("content-length", "1")), .endOfServer)
    ),
    (
      "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
      .complete(answer(200, "a", ("content-length", "1")), .endOfServer)
    ),
  ]

  @Test(arguments: whole)
  func `an answer is read in pieces of any size`(_ text: String, _ step: HTTPAnswerReader.Step) {
    for size in 1...text.utf8.count { #expect(read(text, by: size) == step) }
  }

  @Test func `what follows an answer ends the connection`() {
    #expect(
      read("HTTP/1.1 204 X\r\n\r\nHTTP/1.1 204 X\r\n\r\n") == .complete(Self.answer(204, ""), .nothing))
  }

  @Test func `a body without a length ends with the connection`() {
    let text = "HTTP/1.1 200 OK\r\n\r\n{}"
    #expect(read(text) == .incomplete)
    #expect(read(text, ends: true) == .complete(Self.answer(200, "{}"), .nothing))
  }

  @Test(arguments: [
    ("", "the server closed the connection before it answered"),
    ("HTTP/1.1 200 OK\r\nContent-Len", "the server closed the connection before the end of the answer"),
    (
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
      "the server closed the connection before the end of the answer"
    ),
    (
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
      "the server closed the connection before the end of the answer"
    ),
  ])
  func `half an answer is none`(_ text: String, _ fault: String) {
    #expect(read(text, ends: true) == .malformed(fault))
  }

  @Test(arguments: [
    ("hello\r\n\r\n", "the answer is not an HTTP/1 response"),
    ("HTTP/2 200 OK\r\n\r\n", "the answer is not an HTTP/1 response"),
    ("HTTP/1.1 099 X\r\n\r\n", "the answer is not an HTTP/1 response"),
    ("HTTP/1.1 200 OK\nA: b\n\n", "the answer is malformed: a line feed stands alone"),
    ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "the answer is malformed: a header name is not a valid token"),
    (
      "HTTP/1.1 101 X\r\n\r\n",
      "the server switched to another protocol, which no request had asked for"
    ),
    (
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
      "the answer is malformed: the answer has more than one Content-Length header"
    ),
    (
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "the answer is malformed: there are a Transfer-Encoding and a Content-Length header"
    ),
    (
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
      "the answer is malformed: the body has a transfer coding other than chunked"
    ),
    (
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
      "the answer is malformed: a chunk of the body does not begin with its size"
    ),
  ])
  func `rubbish is none`(_ text: String, _ fault: String) {
    #expect(read(text) == .malformed(fault))
    #expect(read(text, by: 1) == .malformed(fault))
  }

  @Test(arguments: [
    "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n",
  ])
  func `a body that is too long is not kept`(_ head: String) {
    let long = head + String(repeating: "x", count: 65)
    guard case .complete(let answer, let next) = read(long) else {
      Issue.record("not complete")
      return
    }
    #expect(answer.body == nil && answer.status == 200 && next == .nothing)
  }

  @Test func `interim answers have a bound`() {
    let many = String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 33)
    #expect(read(many) == .malformed("the server sent more than 32 interim answers"))
  }
}
