import Testing

@testable import Sessions

private func decoded(_ text: String) -> Result<[WebSocketEvent], WebSocketEvent.Fault> {
  Result { () throws(WebSocketEvent.Fault) in try WebSocketEvent.decode(Array(text.utf8)) }
}

struct WebSocketEventTests {
  /// Bodies that pushpin and gripcontrol write, and what they are.
  private static let bodies: [(text: String, events: [WebSocketEvent])] = [
    ("", []),
    ("OPEN\r\n", [WebSocketEvent(.open)]),
    ("TEXT 5\r\nhello\r\n", [WebSocketEvent(.text, "hello")]),
    ("TEXT 0\r\n\r\n", [WebSocketEvent(.text, "")]),
    ("BINARY b\r\nhello\r\nyou!\r\n", [WebSocketEvent(.binary, "hello\r\nyou!")]),
    (
      "OPEN\r\nTEXT 2c\r\nc:{\"channel\": \"test\", \"type\": \"subscribe\"}  \r\n",
      [WebSocketEvent(.open), WebSocketEvent(.text, "c:{\"channel\": \"test\", \"type\": \"subscribe\"}  ")]
    ),
    (
      "PING\r\nPONG\r\nCLOSE\r\nDISCONNECT\r\n",
      [.ping, .pong, .close, .disconnect].map { WebSocketEvent($0) }
    ),
    ("CLOSE 2\r\n\u{3}X\r\n", [WebSocketEvent(.close, [3, 0x58])]),
  ]

  @Test(arguments: bodies.indices)
  func `events are written as they are read`(_ index: Int) throws {
    let (text, events) = Self.bodies[index]
    #expect(decoded(text) == .success(events))
    #expect(String(decoding: WebSocketEvent.encode(events), as: UTF8.self) == text)
  }

  @Test func `the length is read as others write it`() {
    for text in ["TEXT 0A\r\n0123456789\r\n", "TEXT 0a\r\n0123456789\r\n", "TEXT 0000000a\r\n0123456789\r\n"]
    {
      #expect(decoded(text) == .success([WebSocketEvent(.text, "0123456789")]))
    }
  }

  /// Bodies, and what is said of them.
  private static let faults = [
    ("O", "the line of an event does not end with CR LF at byte 0"),
    ("OPEN", "the line of an event does not end with CR LF at byte 0"),
    ("OPEN\n", "the line of an event does not end with CR LF at byte 0"),
    ("OPEN\r\n\r\n", "\"\" is not an event at byte 6"),
    ("open\r\n", "\"open\" is not an event at byte 0"),
    ("CONTINUATION 0\r\n\r\n", "\"CONTINUATION\" is not an event at byte 0"),
    ("TEXT \r\n\r\n", "the length of a TEXT is not a hexadecimal number at byte 5"),
    ("TEXT  5\r\nhello\r\n", "the length of a TEXT is not a hexadecimal number at byte 5"),
    ("TEXT +5\r\nhello\r\n", "the length of a TEXT is not a hexadecimal number at byte 5"),
    ("TEXT 0x5\r\nhello\r\n", "the length of a TEXT is not a hexadecimal number at byte 5"),
    ("TEXT 5 5\r\nhello\r\n", "the length of a TEXT is not a hexadecimal number at byte 5"),
    ("TEXT 000000005\r\nhello\r\n", "the length of a TEXT is not a hexadecimal number at byte 5"),
    ("TEXT 7fffffffffffffff\r\nx\r\n", "the length of a TEXT is not a hexadecimal number at byte 5"),
    ("TEXT ffffffff\r\nx\r\n", "the content of a TEXT is shorter than its length at byte 15"),
    ("TEXT 6\r\nhello", "the content of a TEXT is shorter than its length at byte 8"),
    ("TEXT 5\r\nhello", "the content of a TEXT does not end with CR LF at byte 13"),
    ("TEXT 4\r\nhello\r\n", "the content of a TEXT does not end with CR LF at byte 12"),
    ("<!doctype html>\n<title>Sign in", "the line of an event does not end with CR LF at byte 0"),
  ]

  @Test(arguments: faults)
  func `anything else is a fault, and none of it is read`(_ body: String, _ fault: String) {
    guard case .failure(let found) = decoded(body) else {
      Issue.record("read")
      return
    }
    #expect(found.description == fault)
  }

  @Test func `the number of events is bounded`() {
    let many = [UInt8]("PING\r\n".utf8)
    let most = Array([[UInt8]](repeating: many, count: WebSocketEvent.most).joined())
    #expect((try? WebSocketEvent.decode(most))?.count == WebSocketEvent.most)
    #expect((try? WebSocketEvent.decode(most + many)) == nil)
  }
}
