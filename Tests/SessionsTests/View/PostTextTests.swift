import Testing
import WebSocketCore

@testable import Sessions

struct PostTextTests {
  private func text(_ target: String, _ name: String, _ value: String) -> String? {
    let request = ViewRequest(
      target: target, fields: [HeaderField(name: name, value: value)], body: Array("{}".utf8))
    return PostText(request).map { String(decoding: $0.bytes, as: UTF8.self) }
  }

  @Test func `a request is written as it is`() {
    #expect(text("/a?b", "X-A", "ü\tb") == "POST /a?b HTTP/1.1\r\nX-A: ü\tb\r\nContent-Length: 2\r\n\r\n{}")
  }

  @Test(arguments: ["a\r\nX-B: c", "a\rb", "a\nb", "a\u{0}b", "\u{7F}"])
  func `a value that would end its line is refused`(_ value: String) {
    #expect(text("/", "X-A", value) == nil)
    #expect(text("/" + value, "X-A", "") == nil)
    #expect(text("/", "X" + value, "") == nil)
  }

  @Test func `a target is one word`() {
    #expect(text("/ HTTP/1.1", "X-A", "") == nil)
  }
}
