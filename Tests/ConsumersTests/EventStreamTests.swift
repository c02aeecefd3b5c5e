import ChannelLayers
import JSON
import Routing
import Testing

@testable import Consumers
@testable import GatewayConfig
@testable import Transport

/// What a page gets of an event.
private struct Received: Equatable {
  var name = "message"
  var data: String
  var id = ""
}

/// Reads a stream by the letter of the HTML standard, section 9.2.6, one byte at a time.
private struct StreamReader {
  var received: [Received] = []
  var lastID = ""
  private var line: [UInt8] = []
  private var sawCarriageReturn = false
  private var data = ""
  private var name = ""
  private var id = ""

  mutating func read(_ bytes: [UInt8]) {
    for byte in bytes {
      let wasCarriageReturn = sawCarriageReturn
      sawCarriageReturn = byte == 0x0D
      if byte == 0x0A, wasCarriageReturn { continue }
      guard byte == 0x0A || byte == 0x0D else {
        line.append(byte)
        continue
      }
      take(String(decoding: line, as: UTF8.self))
      line = []
    }
  }

  private mutating func take(_ line: String) {
    if line.isEmpty { return dispatch() }
    if line.utf8.first == UInt8(ascii: ":") { return }
    let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    var value = parts.count > 1 ? String(parts[1]) : ""
    if value.hasPrefix(" ") { value.removeFirst() }
    switch parts[0] {
    case "event": name = value
    case "data": data += value + "\n"
    case "id": if !value.contains("\0") { id = value }
    default: break
    }
  }

  private mutating func dispatch() {
    defer { (data, name) = ("", "") }
    lastID = id
    guard !data.isEmpty else { return }
    received.append(.init(name: name.isEmpty ? "message" : name, data: String(data.dropLast()), id: id))
  }
}

private func renderer(_ templates: [String: EventTemplate] = [:]) -> EventStreamRenderer {
  EventStreamRenderer(
    GroupConfiguration(templates: [GroupPattern(parts: [.literal("g")])], events: templates),
    showsPosition: true)
}

private func bytes(of stream: SharedBytes) -> [UInt8] {
  unsafe stream.withBytes(from: 0) { unsafe Array($0) }
}

/// The text that the event becomes, whatever it is then read as.
private func written(
  _ event: Event, for address: String? = nil, templates: [String: EventTemplate] = [:]
) -> (Rendering, String) {
  let stream = SharedBytes(capacity: 64)
  let rendering = renderer(templates).render(
    event, for: address.map { EventReceiver(address: $0) }, into: stream)
  return (rendering, String(decoding: bytes(of: stream), as: UTF8.self))
}

private func read(_ events: Event...) -> [Received] {
  let stream = SharedBytes(capacity: 64)
  for event in events { _ = renderer().render(event, for: nil, into: stream) }
  var reader = StreamReader()
  reader.read(bytes(of: stream))
  return reader.received
}

private func broadcast(_ text: String) -> Event {
  Event(type: "broadcast.message", fields: [.init("text", .text(Array(text.utf8)))])
}

struct EventStreamRendererTests {
  @Test func `text is the data of an event without a name`() {
    #expect(written(broadcast("hello")) == (.frames, "data: hello\n\n"))
  }

  @Test(arguments: [
    ("a\nb", "a\nb"), ("a\rb", "a\nb"), ("a\r\nb", "a\nb"), ("a\n\rb", "a\n\nb"), ("a\r\r\nb", "a\n\nb"),
    ("", ""), ("\n", "\n"), ("\r\n", "\n"), ("\r", "\n"), ("a\n", "a\n"), ("\na", "\na"),
    (" a", " a"), (":a", ":a"), ("data: a\n\nevent: b", "data: a\n\nevent: b"), ("id: 1", "id: 1"),
    ("\u{FEFF}é😀\0", "\u{FEFF}é😀\0"), ("a\u{2028}b\u{85}c", "a\u{2028}b\u{85}c"),
  ])
  func `every text arrives, its line ends as LF, and nothing in it is taken for a field`(
    _ text: String, _ data: String
  ) {
    #expect(read(broadcast(text), broadcast("next")) == [.init(data: data), .init(data: "next")])
  }

  @Test func `a position is the id, which the next connection begins behind`() {
    var event = broadcast("a\nb")
    event.position = EventPosition(epoch: 0x5F3A_9C01, offset: 42)
    #expect(written(event) == (.frames, "id: 5f3a9c01.42\ndata: a\ndata: b\n\n"))
    #expect(read(event, broadcast("c")).map(\.id) == ["5f3a9c01.42", "5f3a9c01.42"])
  }

  @Test func `where a client is, and that something is missing, stands before what is kept`() {
    var start = Event(type: Event.historyType, fields: [.init("gap", .json(.bool(false)))])
    start.position = EventPosition(epoch: 1, offset: 7)
    #expect(written(start) == (.frames, "id: 1.7\n\n"))
    start.fields = [.init("gap", .json(.bool(true)))]
    #expect(written(start) == (.frames, "id: 1.7\nevent: gap\ndata: {\"id\": \"1.7\"}\n\n"))
  }

  @Test func `only one group of a stream has places`() {
    let others = EventStreamRenderer(
      GroupConfiguration(templates: [GroupPattern(parts: [.literal("g")])], events: [:]),
      showsPosition: false)
    let stream = SharedBytes(capacity: 64)
    for type in ["broadcast.message", Event.historyType] {
      var event = Event(type: type, fields: [.init("text", .text(Array("a".utf8)))])
      event.position = EventPosition(epoch: 1, offset: 7)
      _ = others.render(event, for: nil, into: stream)
    }
    #expect(String(decoding: bytes(of: stream), as: UTF8.self) == "data: a\n\n")
  }

  @Test func `bytes are an event of their own, in base64`() {
    let event = Event(type: "broadcast.message", fields: [.init("bytes", .bytes([0, 255, 10, 13]))])
    #expect(written(event) == (.frames, "event: bytes\ndata: AP8KDQ==\n\n"))
    let empty = Event(type: "websocket.send", fields: [.init("bytes", .bytes([]))])
    #expect(read(empty) == [.init(name: "bytes", data: "")])
  }

  @Test func `a text that a user has published is the message of that user, and bytes are dropped`() {
    let user = Event.Field("user", .json(.string("bob")))
    let forged = #"{"message": 1, "user": "ann"}"#
    for text in [EventValue.text(Array(forged.utf8)), .json(.string(forged))] {
      let event = Event(type: "broadcast.message", fields: [.init("text", text), user])
      let data = #"{"message": "{\"message\": 1, \"user\": \"ann\"}", "user": "bob"}"#
      #expect(read(event) == [.init(data: data)])
    }
    for field in [Event.Field("bytes", .bytes([1])), .init("text", .encodedJSON(Array("{}".utf8)))] {
      #expect(written(Event(type: "broadcast.message", fields: [field, user])) == (.ignored, ""))
    }
  }

  @Test func `a chat message is the JSON that chat clients get, also with line ends between its parts`() {
    let event = Event(
      type: "chat.message", fields: [.init("message", .encodedJSON(Array("{\"a\":\r\n[1,\n2]}".utf8)))])
    #expect(read(event) == [.init(data: "{\"message\": {\"a\":\n[1,\n2]}}")])
    let text = Event(type: "chat.message", fields: [.init("message", .json(.string("a\nb")))])
    #expect(read(text) == [.init(data: #"{"message": "a\nb"}"#)])
    let named = Event(
      type: "chat.message",
      fields: [.init("message", .json(.integer(1))), .init("user", .json(.string("ann")))])
    #expect(read(named) == [.init(data: #"{"message": 1, "user": "ann"}"#)])
  }

  @Test func `websocket-send is its text, websocket-close ends the stream`() {
    #expect(
      read(Event(type: "websocket.send", fields: [.init("text", .json(.string("x")))])) == [.init(data: "x")])
    #expect(written(Event(type: "websocket.close")) == (.close(code: 1000, reason: ""), ""))
    let close = Event(
      type: "websocket.close",
      fields: [.init("code", .json(.integer(4001))), .init("reason", .json(.string("gone")))])
    #expect(written(close) == (.close(code: 4001, reason: "gone"), ""))
  }

  @Test func `templates make JSON, also one for each client`() {
    let templates: [String: EventTemplate] = [
      "price": .object([.init(key: "p", value: .field("value"))]),
      "hello": .object([.init(key: "to", value: .field("channel"))]),
    ]
    let price = Event(type: "price", fields: [.init("value", .json(.integer(3)))])
    #expect(written(price, templates: templates) == (.frames, "data: {\"p\":3}\n\n"))
    #expect(written(Event(type: "hello"), templates: templates) == (.personal, ""))
    #expect(
      written(Event(type: "hello"), for: "me", templates: templates) == (.frames, "data: {\"to\":\"me\"}\n\n")
    )
  }

  @Test func `what is unknown, and what lacks its fields, is ignored`() {
    let lacking = [
      Event(type: "other"), Event(type: "chat.message"), Event(type: "broadcast.message"),
      Event(type: "chat.message", fields: [.init("message", .bytes([1]))]),
      Event(type: "websocket.send", fields: [.init("text", .bytes([1]))]),
      Event(type: "websocket.close", fields: [.init("code", .json(.integer(1005)))]),
    ]
    for event in lacking { #expect(written(event) == (.ignored, "")) }
  }
}
