import Bytes
import Testing

@testable import Bench

/// What a connection's bytes say, in words.
private final class Answers: AnswerSink {
  var told: [String] = []
  private var text: [UInt8] = []

  func head(_ head: AnswerHead) {
    told.append(
      "\(head.status)\(head.phrase.isEmpty ? "" : " ")\(head.phrase)\(head.isEventStream ? " stream" : "")")
    text = []
  }

  func body(_ bytes: RawSpan) {
    text.append(copying: bytes)
  }

  func ended(isLast: Bool) {
    told.append(String(decoding: text, as: UTF8.self))
    if isLast { told.append("last") }
  }

  var unfinished: String { String(decoding: text, as: UTF8.self) }
}

private func read(_ text: String, inPiecesOf size: Int = .max) throws -> Answers {
  let bytes = Array(text.utf8)
  let answers = Answers()
  var reader = AnswerReader()
  for start in stride(from: 0, to: bytes.count, by: min(size, bytes.count)) {
    let piece = Array(bytes[start..<min(bytes.count, start + min(size, bytes.count))])
    try reader.read(piece.rawBytes, into: answers)
  }
  return answers
}

struct AnswerReaderTests {
  private static let several =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
    + "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Service Unavailable\r\nContent-Length:\t2 \r\n\r\nno"
    + "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nabcde\r\n0a\r\n0123456789\r\n0\r\nA: b\r\n\r\n"
    + "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

  @Test(arguments: [1, 2, 7, 64, Int.max])
  func `answers are read in whatever pieces they come`(_ size: Int) throws {
    let answers = try read(Self.several, inPiecesOf: size)
    #expect(
      answers.told == [
        "200", "hello", "503 Service Unavailable", "no", "202", "abcde0123456789", "204", "", "200", "",
        "last",
      ])
  }

  @Test func `a body without a length goes on to the end`() throws {
    let answers = try read(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\ndata: 1\n\n")
    #expect((answers.told, answers.unfinished) == (["200 stream"], "data: 1\n\n"))
  }

  @Test(arguments: [("HTTP/1.0 200 OK\r\n", true), ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", false)])
  func `HTTP 1.0 ends the connection unless it says otherwise`(_ head: String, _ isLast: Bool) throws {
    let answers = try read(head + "Content-Length: 0\r\n\r\n")
    #expect(answers.told == ["200", ""] + (isLast ? ["last"] : []))
  }

  @Test(arguments: [
    "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\n0\n\n",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
  ])
  func `what is no answer is a fault`(_ text: String) {
    #expect(throws: AnswerFault.self) { try read(text) }
  }

  @Test func `a head without an end is a fault, in one piece or many`() {
    let text = "HTTP/1.1 200 OK\r\n" + String(repeating: "A: b\r\n", count: 4000)
    for size in [1000, Int.max] { #expect(throws: AnswerFault.self) { try read(text, inPiecesOf: size) } }
    let chunked =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + String(repeating: "a", count: 20_000)
    #expect(throws: AnswerFault.self) { try read(chunked, inPiecesOf: 1000) }
  }
}

struct EventReaderTests {
  private func events(_ text: String, inPiecesOf size: Int = .max, longest: Int = 100) throws -> [String] {
    let bytes = Array(text.utf8)
    var reader = EventReader(longest: longest)
    var found: [String] = []
    for start in stride(from: 0, to: bytes.count, by: min(size, bytes.count)) {
      let piece = Array(bytes[start..<min(bytes.count, start + min(size, bytes.count))])
      try reader.read(piece.rawBytes) { found.append($0.string) }
    }
    return found
  }

  @Test(arguments: [1, 3, 10, Int.max])
  func `the data of each event is read`(_ size: Int) throws {
    let text =
      "retry: 1\n\n: a comment\n\nid: 1.2\nevent: x\ndata: one\n\ndata:two\r\ndata: 2\r\n\r\ndata\n\ndatabase: 1\n\ndata: \n\n"
    #expect(try events(text, inPiecesOf: size) == ["one", "two\n2", ""])
  }

  @Test func `an event that does not end is a fault`() {
    for text in ["data: " + String(repeating: "a", count: 200), String(repeating: "data: a\n", count: 200)] {
      for size in [10, Int.max] {
        #expect(throws: AnswerFault.self) { try events(text, inPiecesOf: size) }
      }
    }
  }
}
