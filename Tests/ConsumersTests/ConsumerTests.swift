import Bytes
import ChannelLayers
import JSON
import Routing
import Testing
import WebSocketCore

@testable import Consumers
@testable import GatewayConfig
@testable import Transport

/// Records what a consumer does to its session.
private final class RecordingSession: ConsumerSession {
  let identity: Identity? = nil
  let takesTokens = false
  let address: String? = nil
  let viewState: JSON? = nil
  var asked: [String] = []
  var sent: [String] = []
  var forwarded: [String] = []
  var published: [Event] = []

  func send(_ kind: MessageKind, _ payload: RawSpan) {
    sent.append("\(kind):" + String(decoding: [UInt8](copying: payload), as: UTF8.self))
  }

  func forward(_ kind: MessageKind, _ payload: RawSpan) {
    forwarded.append("\(kind):" + String(decoding: [UInt8](copying: payload), as: UTF8.self))
  }

  func ask(_ kind: MessageKind, _ payload: RawSpan) {
    asked.append("\(kind):" + String(decoding: [UInt8](copying: payload), as: UTF8.self))
  }

  func publish(_ event: Event, to group: String) { published.append(event) }
  func group(where isMeant: (String) -> Bool) -> String? { nil }
  var captures: Captures { Captures() }
  func publish(_ event: Event) { published.append(event) }
}

private func group(_ events: [String: EventTemplate] = [:]) -> GroupConfiguration {
  GroupConfiguration(templates: [GroupPattern(parts: [.literal("g")])], events: events)
}

private func receive(_ consumer: Consumer, _ kind: MessageKind, _ text: String) -> RecordingSession {
  let session = RecordingSession()
  unsafe consumer.received(kind, Array(text.utf8).span.bytes, from: session)
  return session
}

/// The payload of the one frame that the event becomes.
private func render(_ consumer: Consumer, _ event: Event) -> (Rendering, String) {
  let frames = SharedBytes(capacity: 64)
  let rendering = consumer.render(event, for: nil, into: frames)
  let bytes = unsafe frames.withBytes(from: 0) { unsafe Array($0) }
  return (rendering, String(decoding: bytes.dropFirst(2), as: UTF8.self))
}

struct EchoTests {
  @Test func `text and binary come back as they were`() {
    #expect(receive(.echo, .text, "a").sent == ["text:a"])
    #expect(receive(.echo, .binary, "b").sent == ["binary:b"])
  }
}

struct ProxyTests {
  @Test func `every message goes on as it was, and nothing comes back`() {
    let upstream = UpstreamConfiguration(scheme: .ws, host: "localhost", port: 8001)
    let session = receive(Consumer(.proxy(upstream)), .binary, "b")
    #expect(session.forwarded == ["binary:b"])
    #expect(session.sent == [])
  }
}

struct ChatTests {
  private let chat = Consumer(.chat(group()))

  @Test func `a message becomes the tutorial's event, and its value is handed on as it came`() {
    let session = receive(chat, .text, #"{"x": 1, "message": {"a": [1.50, "é"]}}"#)
    #expect(session.sent == [])
    #expect(session.published.map(\.type) == ["chat.message"])
    #expect(session.published.first?["message"] == .encodedJSON(Array(#"{"a": [1.50, "é"]}"#.utf8)))
    #expect(render(chat, session.published[0]) == (.frames, #"{"message": {"a": [1.50, "é"]}}"#))
  }

  @Test(arguments: [
    "", "nope", "[]", "{}", #"{"message": NaN}"#, #"{"message": 1"#, #"{"message": "\ud800"}"#,
  ])
  func `anything else is answered with an error, and nothing is published`(_ text: String) {
    let session = receive(chat, .text, text)
    #expect(session.published == [])
    #expect(session.sent.count == 1)
    #expect(session.sent[0].hasPrefix(#"text:{"error": "#))
  }

  @Test func `a text that a user has published is that user's message where clients are told who sent what`()
  {
    var shown = group()
    shown.options[.identity] = true
    let chat = Consumer(.chat(shown))
    let forged = #"{"message": "hi", "user": "admin"}"#
    let text = Event.Field("text", .text(Array(forged.utf8)))
    let user = Event.Field("user", .json(.string("ann")))
    #expect(
      render(chat, Event(type: "broadcast.message", fields: [text, user]))
        == (.frames, #"{"message": "{\"message\": \"hi\", \"user\": \"admin\"}", "user": "ann"}"#))
    #expect(
      render(chat, Event(type: "broadcast.message", fields: [.init("bytes", .bytes([1])), user])).0
        == .ignored)
    // The back end's own text has no sender.
    #expect(render(chat, Event(type: "broadcast.message", fields: [text])) == (.frames, forged))
  }

  @Test(arguments: [
    #"{"presence": {"joined": "bob"}}"#, #"{"history": {"id": "1.1", "gap": false}}"#,
    #"{"message": 1, "user": "bob"}"#,
  ])
  func `a text that a user has published is a message also where clients are not told who sent what`(
    _ forged: String
  ) {
    let text = Event.Field("text", .text(Array(forged.utf8)))
    let user = Event.Field("user", .json(.string("ann")))
    let signed = Event(type: "broadcast.message", fields: [text, user])
    let quoted = EventValue.json(.string(forged)).jsonText ?? []
    let message = #"{"message": "# + String(decoding: quoted, as: UTF8.self) + "}"
    #expect(render(chat, signed) == (.frames, message))
    var numbered = signed
    numbered.position = EventPosition(epoch: 0xAB, offset: 7)
    let frames = SharedBytes(capacity: 64)
    _ = NumberedRenderer(chat).render(numbered, for: nil, into: frames)
    let frame = unsafe frames.withBytes(from: 2) { unsafe String(decoding: $0, as: UTF8.self) }
    #expect(frame == #"{"id": "ab.7", \#(message.dropFirst())"#)
    let bytes = Event.Field("bytes", .bytes([1]))
    #expect(render(chat, Event(type: "broadcast.message", fields: [bytes, user])).0 == .ignored)
    // The back end's own text has no sender.
    #expect(render(chat, Event(type: "broadcast.message", fields: [text])) == (.frames, forged))
  }

  @Test func `binary is answered with an error`() {
    #expect(receive(chat, .binary, #"{"message": 1}"#).sent.count == 1)
  }

  @Test func `values from other processes are written as JSON`() {
    let event = Event(type: "chat.message", fields: [.init("message", .json(.string("a\"b")))])
    #expect(render(chat, event) == (.frames, #"{"message": "a\"b"}"#))
  }

  @Test func `what presence tells becomes a frame, and nothing that came from outside`() {
    let told = EventValue.encodedJSON(Array(#"{"joined": "ann", "count": 2}"#.utf8))
    let event = Event(type: "sluice.presence", fields: [.init("presence", told)])
    #expect(render(chat, event) == (.frames, #"{"presence": {"joined": "ann", "count": 2}}"#))
    let foreign = EventValue.json(.object([.init(key: "joined", value: .string("ann"))]))
    #expect(render(chat, Event(type: "sluice.presence", fields: [.init("presence", foreign)])).0 == .ignored)
    #expect(render(chat, Event(type: "sluice.presence")).0 == .ignored)
  }

  @Test func `an unknown type, a missing field and bytes are ignored`() {
    #expect(render(chat, Event(type: "other")).0 == .ignored)
    #expect(render(chat, Event(type: "chat.message")).0 == .ignored)
    #expect(render(chat, Event(type: "chat.message", fields: [.init("message", .bytes([1]))])).0 == .ignored)
  }
}

struct BroadcastTests {
  private let everyone = Consumer(.broadcast(group(), publish: .everyone))

  @Test func `a frame goes to the group as it is`() {
    let session = receive(everyone, .text, "plain")
    #expect(render(everyone, session.published[0]) == (.frames, "plain"))
    let binary = receive(everyone, .binary, "bytes")
    #expect(binary.published[0]["bytes"] == .bytes(Array("bytes".utf8)))
  }

  @Test func `where nobody may publish, a client is told`() {
    let session = receive(Consumer(.broadcast(group(), publish: .nobody)), .text, "x")
    #expect(session.published == [])
    #expect(session.sent == [#"text:{"error": "clients cannot publish on this route"}"#])
  }
}

struct UndeliveredTests {
  @Test(arguments: [Consumer(.chat(group())), Consumer(.broadcast(group(), publish: .everyone))])
  func `whoever sends through a layer is told when that failed`(_ consumer: Consumer) {
    let session = RecordingSession()
    consumer.undelivered(.full, to: session)
    #expect(
      session.sent == [
        #"text:{"error": "the message did not reach everybody: the queue of a receiver is full"}"#
      ])
  }
}

struct RouteEventsTests {
  @Test func `a template makes JSON of an event's fields`() {
    let template = EventTemplate.object([
      .init(key: "id", value: .field("id")),
      .init(key: "text", value: .text(TextTemplate(parts: [.place("who"), .literal(" paid")]))),
      .init(key: "list", value: .array([.constant(.integer(1)), .field("type"), .field("absent")])),
    ])
    let chat = Consumer(.chat(group(["order.paid": template])))
    let event = Event(
      type: "order.paid",
      fields: [.init("id", .json(.integer(7))), .init("who", .encodedJSON(Array("\"Ann\"".utf8)))])
    #expect(
      render(chat, event) == (.frames, #"{"id":7,"text":"Ann paid","list":[1,"order.paid",null]}"#))
  }

  @Test func `the whole event can be sent`() {
    let chat = Consumer(.chat(group(["tick": .wholeEvent])))
    let event = Event(type: "tick", fields: [.init("n", .json(.integer(1)))])
    #expect(render(chat, event) == (.frames, #"{"type":"tick","n":1}"#))
  }

  // Channels calls the method `chat_message` for both types.
  @Test func `a type with underscores is the one with points, and is passed on as it was written`() {
    let chat = Consumer(.chat(group(["order.paid": .wholeEvent, "user_joined": .field("type")])))
    let message = [Event.Field("message", .json(.integer(1)))]
    let text = [Event.Field("text", .json(.string("hi")))]
    #expect(render(chat, Event(type: "chat_message", fields: message)) == (.frames, #"{"message": 1}"#))
    #expect(render(chat, Event(type: "broadcast_message", fields: text)) == (.frames, "hi"))
    #expect(render(chat, Event(type: "websocket_send", fields: text)) == (.frames, "hi"))
    #expect(
      chat.render(Event(type: "websocket_close"), for: nil, into: SharedBytes(capacity: 8))
        == .close(code: 1000, reason: ""))
    #expect(render(chat, Event(type: "order_paid")) == (.frames, #"{"type":"order_paid"}"#))
    #expect(render(chat, Event(type: "user.joined")) == (.frames, #""user.joined""#))
    let broadcast = Consumer(.broadcast(group(), publish: .everyone))
    #expect(render(broadcast, Event(type: "broadcast_message", fields: text)) == (.frames, "hi"))
    #expect(render(broadcast, Event(type: "chat_message", fields: message)) == (.frames, #"{"message": 1}"#))
  }

  @Test func `a template stands before the consumer's own meaning, however either is written`() {
    let chat = Consumer(.chat(group(["chat_message": .wholeEvent])))
    #expect(render(chat, Event(type: "chat.message")) == (.frames, #"{"type":"chat.message"}"#))
  }

  @Test func `the gateway's own events are none of anybody else's under another spelling`() {
    let told = EventValue.encodedJSON(Array(#"{"joined": "ann"}"#.utf8))
    let chat = Consumer(.chat(group()))
    #expect(render(chat, Event(type: "sluice_presence", fields: [.init("presence", told)])).0 == .ignored)
    #expect(!Event(type: "sluice_history").isRecordable)
    #expect(!Event(type: "websocket_close").isRecordable)
    #expect(Event(type: "chat_message").isRecordable)
  }

  @Test func `websocket send and close work on every group`() {
    let chat = Consumer(.chat(group()))
    let send = Event(type: "websocket.send", fields: [.init("text", .json(.string("hi")))])
    #expect(render(chat, send) == (.frames, "hi"))
    let close = Event(
      type: "websocket.close",
      fields: [.init("code", .json(.integer(4001))), .init("reason", .json(.string("bye")))])
    #expect(chat.render(close, for: nil, into: SharedBytes(capacity: 8)) == .close(code: 4001, reason: "bye"))
    let bad = Event(type: "websocket.close", fields: [.init("code", .json(.integer(1006)))])
    #expect(chat.render(bad, for: nil, into: SharedBytes(capacity: 8)) == .ignored)
  }
}

struct NumberedRendererTests {
  private func numbered(_ consumer: Consumer, _ event: Event) -> (Rendering, String) {
    var event = event
    event.position = EventPosition(epoch: 0xAB, offset: 7)
    let frames = SharedBytes(capacity: 64)
    let rendering = NumberedRenderer(consumer).render(event, for: nil, into: frames)
    let bytes = unsafe frames.withBytes(from: 0) { unsafe Array($0) }
    return (rendering, String(decoding: bytes.dropFirst(2), as: UTF8.self))
  }

  @Test func `what is an object gets the position as its first member, everything else stands beside it`() {
    let chat = Consumer(
      .chat(
        group([
          "none": .object([]), "own": .object([.init(key: "id", value: .field("n"))]),
          "list": .array([.field("n")]),
          "all": .wholeEvent, "some": .object([.init(key: "n", value: .field("n"))]),
        ])))
    let fields = [Event.Field("n", .json(.integer(1)))]
    for (type, text) in [
      "none": #"{"id": "ab.7"}"#, "own": #"{"id": "ab.7", "event": {"id":1}}"#,
      "list": #"{"id": "ab.7", "event": [1]}"#, "all": #"{"id": "ab.7", "event": {"type":"all","n":1}}"#,
      "some": #"{"id": "ab.7", "n":1}"#,
    ] {
      #expect(numbered(chat, Event(type: type, fields: fields)) == (.frames, text))
    }
    let message = Event(type: "chat.message", fields: [.init("message", .encodedJSON(Array(#""hi""#.utf8)))])
    #expect(numbered(chat, message) == (.frames, #"{"id": "ab.7", "message": "hi"}"#))
    #expect(
      numbered(chat, Event(type: "chat_message", fields: message.fields))
        == (.frames, #"{"id": "ab.7", "message": "hi"}"#))
    #expect(numbered(chat, Event(type: "unknown")).0 == .ignored)
    #expect(
      numbered(chat, Event(type: "websocket.close")).0 == .close(code: 1000, reason: ""))
  }

  @Test func `a message that need not be JSON becomes a text, and bytes base64`() {
    let broadcast = Consumer(.broadcast(group(), publish: .everyone))
    let text = Event(type: "broadcast.message", fields: [.init("text", .text(Array("a\"é".utf8)))])
    #expect(numbered(broadcast, text) == (.frames, #"{"id": "ab.7", "text": "a\"é"}"#))
    let bytes = Event(type: "broadcast.message", fields: [.init("bytes", .bytes([1, 2, 255]))])
    #expect(numbered(broadcast, bytes) == (.frames, #"{"id": "ab.7", "bytes": "AQL/"}"#))
    let send = Event(type: "websocket.send", fields: [.init("text", .text(Array("x".utf8)))])
    #expect(numbered(broadcast, send) == (.frames, #"{"id": "ab.7", "text": "x"}"#))
  }

  @Test func `where a session is, is a frame of its own, and nothing to sessions that did not ask`() {
    var event = Event(type: Event.historyType, fields: [.init("gap", .json(.bool(true)))])
    event.position = EventPosition(epoch: 0xAB, offset: 7)
    let chat = Consumer(.chat(group()))
    #expect(numbered(chat, event) == (.frames, #"{"history": {"id": "ab.7", "gap": true}}"#))
    #expect(render(chat, event).0 == .ignored)
    // Without a position there is nothing to tell.
    let frames = SharedBytes(capacity: 64)
    _ = NumberedRenderer(chat).render(
      Event(type: "chat.message", fields: [.init("message", .json(.integer(1)))]), for: nil, into: frames)
    let plain = unsafe frames.withBytes(from: 2) { unsafe String(decoding: $0, as: UTF8.self) }
    #expect(plain == #"{"message": 1}"#)
  }
}

struct EnvelopeTests {
  private func group(_ events: [String: EventTemplate] = [:], hasEnvelope: Bool = true) -> GroupConfiguration
  {
    var group = GroupConfiguration(templates: [GroupPattern(parts: [.literal("g")])], events: events)
    group.options[.envelope] = hasEnvelope
    return group
  }

  /// - Parameter offset: of the position; nil for an event without one.
  private func framed(_ consumer: Consumer, _ event: Event, offset: UInt64? = nil) -> String {
    var event = event.named("room_7", for: consumer)
    event.position = offset.map { EventPosition(epoch: 0xAB, offset: $0) }
    let frames = SharedBytes(capacity: 64)
    _ = NumberedRenderer(consumer).render(event, for: nil, into: frames)
    let bytes = unsafe frames.withBytes(from: 0) { unsafe Array($0) }
    return String(decoding: bytes.dropFirst(2), as: UTF8.self)
  }

  private let number = [Event.Field("n", .json(.integer(1)))]

  @Test func `an envelope names the group beside what the frame says`() {
    let chat = Consumer(
      .chat(
        group([
          "none": .object([]), "list": .array([.field("n")]),
          "own": .object([.init(key: "group", value: .field("n"))]),
          "id": .object([.init(key: "id", value: .field("n"))]),
        ])))
    for (type, plain, numbered) in [
      ("none", #"{"group": "room_7"}"#, #"{"id": "ab.9", "group": "room_7"}"#),
      ("list", #"{"group": "room_7", "event": [1]}"#, #"{"id": "ab.9", "group": "room_7", "event": [1]}"#),
      (
        "own", #"{"group": "room_7", "event": {"group":1}}"#,
        #"{"id": "ab.9", "group": "room_7", "event": {"group":1}}"#
      ),
      (
        "id", #"{"group": "room_7", "id":1}"#, #"{"id": "ab.9", "event": {"group": "room_7", "id":1}}"#
      ),
    ] {
      #expect(framed(chat, Event(type: type, fields: number)) == plain)
      #expect(framed(chat, Event(type: type, fields: number), offset: 9) == numbered)
    }
    let message = Event(type: "chat.message", fields: [.init("message", .json(.string("hi")))])
    #expect(framed(chat, message) == #"{"group": "room_7", "message": "hi"}"#)
    let presence = Event(
      type: Event.presenceType, fields: [.init(Event.presenceField, .encodedJSON(Array("[]".utf8)))])
    #expect(framed(chat, presence) == #"{"group": "room_7", "presence": []}"#)
    let broadcast = Consumer(.broadcast(group(), publish: .everyone))
    let text = Event(type: "broadcast.message", fields: [.init("text", .text(Array("a\"é".utf8)))])
    #expect(framed(broadcast, text) == #"{"group": "room_7", "text": "a\"é"}"#)
    let bytes = Event(type: "broadcast.message", fields: [.init("bytes", .bytes([1, 2, 255]))])
    #expect(framed(broadcast, bytes, offset: 9) == #"{"id": "ab.9", "group": "room_7", "bytes": "AQL/"}"#)
    #expect(framed(broadcast, Event(type: "websocket.close")) == "")
  }

  @Test func `an envelope names the group beside the fields of a whole event`() {
    let chat = Consumer(.chat(group(["all": .wholeEvent])))
    #expect(
      framed(chat, Event(type: "all", fields: number)) == #"{"group": "room_7", "type":"all","n":1}"#)
    #expect(
      framed(chat, Event(type: "all", fields: number), offset: 9)
        == #"{"id": "ab.9", "event": {"group": "room_7", "type":"all","n":1}}"#)
    let own = [Event.Field("group", .json(.integer(1)))]
    #expect(
      framed(chat, Event(type: "all", fields: own))
        == #"{"group": "room_7", "event": {"type":"all","group":1}}"#)
  }

  @Test func `a template can name the group, whatever the event says`() {
    let template = EventTemplate.object([.init(key: "room", value: .field("sluice.group"))])
    let chat = Consumer(.chat(group(["a": template], hasEnvelope: false)))
    let forged = [Event.Field("sluice.group", .json(.string("other")))]
    #expect(framed(chat, Event(type: "a", fields: forged)) == #"{"room":"room_7"}"#)
    #expect(chat.namesGroup)
    // The route renders each event with its group, which is no field of it.
    let mixed = Consumer(.chat(group(["a": template, "all": .wholeEvent], hasEnvelope: false)))
    #expect(framed(mixed, Event(type: "all", fields: number)) == #"{"type":"all","n":1}"#)
    #expect(framed(mixed, Event(type: "all", fields: number), offset: 9).hasSuffix(#"{"type":"all","n":1}}"#))
    let stream = EventStreamRenderer(
      group(["a": template, "all": .wholeEvent], hasEnvelope: false), showsPosition: false)
    let bytes = SharedBytes(capacity: 64)
    _ = stream.render(Event(type: "all", fields: number).named("room_7", for: stream), for: nil, into: bytes)
    let streamed = unsafe bytes.withBytes(from: 0) { unsafe String(decoding: $0, as: UTF8.self) }
    #expect(streamed == "data: {\"type\":\"all\",\"n\":1}\n\n")
    let plain = Consumer(.chat(group(hasEnvelope: false)))
    #expect(!plain.namesGroup && Event(type: "a").named("g", for: plain).group == nil)
  }
}

struct OtherMessageTests {
  private func answer(_ text: String, _ change: (inout GroupConfiguration) -> Void = { _ in }) -> [String] {
    var configuration = group()
    change(&configuration)
    return receive(Consumer(.chat(configuration)), .text, text).sent
  }

  @Test(
    arguments: [
      (#"{"presence": "list"}"#, "this route has no presence"),
      (#"{"subscribe": ["a", "b"]}"#, "clients of this route cannot subscribe to groups"),
      (#"{"unsubscribe": "a"}"#, "clients of this route cannot subscribe to groups"),
      (#"{"auth": "x"}"#, "this route takes no token in a message"),
      (#"{"mesage": 1}"#, #"the message has no member \"message\"; did you mean \"message\"?"#),
      (#"{"subscrib": "a"}"#, #"the message has no member \"message\": send {\"message\": ...}"#),
      ("{}", #"the message has no member \"message\": send {\"message\": ...}"#),
    ] as [(String, String)])
  func `a message that the route cannot take is answered with what is true of the route`(
    _ text: String, _ error: String
  ) {
    #expect(answer(text) == [#"text:{"error": "\#(error)"}"#])
  }

  @Test(
    arguments: [
      (#"{"presence": "all", "x": 1}"#, #"send {\"presence\": \"list\"}, with nothing else, for the list"#),
      (#"{"subscribe": ["a", "b"]}"#, #"send {\"subscribe\": \"GROUP\"}, with nothing else, for one group"#),
      (#"{"subscrib": "a"}"#, #"the message has no member \"message\"; did you mean \"subscribe\"?"#),
    ] as [(String, String)])
  func `what the route can take is shown in its form`(_ text: String, _ error: String) {
    let sent = answer(text) {
      $0.options[.presence] = true
      $0.subscribe = [GroupPattern(parts: [.anything])]
    }
    #expect(sent == [#"text:{"error": "\#(error)"}"#])
  }
}
