import Testing
import WebSocketCore

@testable import Sessions

struct HTTPAnswerTests {
  private func text(
    _ answer: HTTPAnswer, _ sequel: HTTPAnswer.Sequel = .next, isToHEAD: Bool = false, date: String? = "D",
    minorVersion: Int = 1
  ) -> String {
    let bytes = answer.bytes(sequel, isToHEAD: isToHEAD, date: date, minorVersion: minorVersion)
    return String(decoding: bytes, as: UTF8.self)
  }

  private let plain = HTTPAnswer(
    status: 200, fields: [HeaderField(name: "X", value: "y")], body: Array("abc".utf8))

  @Test func `an answer is its fields, its date, its length and its body`() {
    let head = "HTTP/1.1 200 OK\r\nX: y\r\nDate: D\r\nContent-Length: 3\r\n\r\n"
    #expect(text(plain) == head + "abc")
    #expect(text(plain, isToHEAD: true) == head)
    #expect(text(plain, date: nil) == "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 3\r\n\r\nabc")
  }

  @Test(
    arguments: [
      (HTTPAnswer.Sequel.next, [], nil), (.next, ["Upgrade"], "Upgrade"), (.close, [], "close"),
      (.close, ["Upgrade"], "close, Upgrade"), (.close, ["Close", "x"], "close, x"),
      (.nextOfOldClient, [], "keep-alive"),
    ] as [(HTTPAnswer.Sequel, [String], String?)])
  func `it says what becomes of the connection, and what else there is to say of it`(
    _ sequel: HTTPAnswer.Sequel, _ said: [String], _ expected: String?
  ) {
    let fields = said.map { HeaderField(name: "connection", value: $0) }
    let answer = text(HTTPAnswer(status: 200, fields: fields), sequel, date: nil)
    let line = expected.map { "Connection: \($0)\r\n" } ?? ""
    #expect(answer == "HTTP/1.1 200 OK\r\n\(line)Content-Length: 0\r\n\r\n")
  }

  @Test(arguments: [(204, ""), (304, ""), (205, "Content-Length: 0\r\n")])
  func `some answers have no body`(_ status: Int, _ length: String) {
    let answer = text(HTTPAnswer(status: status, body: Array("abc".utf8)), date: nil)
    #expect(answer.hasSuffix("\r\n\(length)\r\n") && !answer.contains("abc"))
  }

  @Test func `a date of its own goes before, and an old client is answered in its version`() {
    let dated = HTTPAnswer(status: 404, fields: [HeaderField(name: "date", value: "E")])
    #expect(text(dated) == "HTTP/1.1 404 Not Found\r\ndate: E\r\nContent-Length: 0\r\n\r\n")
    #expect(text(plain, minorVersion: 0).hasPrefix("HTTP/1.0 200 OK\r\n"))
  }

  @Test func `bytes of fields that are no UTF-8 are what they were`() {
    let bytes: [UInt8] = Array("GET / HTTP/1.1\r\nHost: a\r\nX: caf".utf8) + [0xE9] + Array("\r\n\r\n".utf8)
    guard case .complete(let head, _) = unsafe RequestHead.parse(bytes.span.bytes) else {
      Issue.record("it does not parse")
      return
    }
    let answer = HTTPAnswer(
      status: 200, fields: [HeaderField(name: "X", value: head.values(of: "x")[0])], body: [0xFF])
    #expect(
      answer.bytes(.next, date: nil) == Array("HTTP/1.1 200 OK\r\nX: caf".utf8) + [0xE9]
        + Array("\r\nContent-Length: 1\r\n\r\n".utf8) + [0xFF])
  }

  @Test func `the time is written once in a second`() {
    var clock = HTTPClock()
    #expect(HTTPDate.seconds(of: clock.now()) != nil && clock.now().count == 29)
  }
}
