import Bytes
import ChannelLayers
import JSON
import Routing
import Synchronization
import TestSupport
import Testing
import WebSocketCore

@testable import Consumers
@testable import GatewayConfig
@testable import Transport

/// What a route does by itself with messages of its clients.
struct ReceivingTests {
  private final class Client: ConsumerSession {
    var identity: Identity?
    let takesTokens = false
    let address: String? = "specific.test!7"
    var viewState: JSON?
    var captures = Captures([.init(name: "room", value: "lobby")])
    var groups = ["chat_lobby", "room_7"]
    var asked: [String] = []
    var sent: [String] = []
    var published: [(event: Event, group: String)] = []

    func send(_ kind: MessageKind, _ payload: RawSpan) {
      sent.append(String(decoding: [UInt8](copying: payload), as: UTF8.self))
    }
    func forward(_ kind: MessageKind, _ payload: RawSpan) {}
    func ask(_ kind: MessageKind, _ payload: RawSpan) {
      asked.append(String(decoding: [UInt8](copying: payload), as: UTF8.self))
    }
    func publish(_ event: Event) { published.append((event, groups.first ?? "")) }
    func publish(_ event: Event, to group: String) { published.append((event, group)) }
    func group(where isMeant: (String) -> Bool) -> String? { groups.first(where: isMeant) }
  }

  private enum Kind { case chat, broadcast, view }

  private static let range = SourceRange(
    file: SourceFile(path: "x", text: []), start: SourcePosition(line: 1, column: 1),
    end: SourcePosition(line: 1, column: 1))

  private func consumer(_ kind: Kind, _ change: (inout GroupConfiguration) -> Void) -> Consumer {
    var group = GroupConfiguration(templates: [GroupPattern(parts: [.literal("g")])], events: [:])
    change(&group)
    return switch kind {
    case .chat: .chat(Chat(group))
    case .broadcast: .broadcast(Broadcast(group, publish: .everyone))
    case .view: .view(ViewAnswered(group))
    }
  }

  private func answering(
    on kind: Kind = .chat, by: String? = "type", _ kinds: [String: ReceiveAction], otherwise: ReceiveAction
  ) -> Consumer {
    consumer(kind) { $0.receive = ReceiveConfiguration(by: by, kinds: kinds, otherwise: otherwise) }
  }

  private func say(_ text: String, to consumer: Consumer, _ client: Client = Client()) -> Client {
    consumer.received(.text, Array(text.utf8).rawBytes, from: client)
    return client
  }

  private func event(
    _ fields: [(String, MessageTemplate)], group: ReceivedEvent.Group = .first, isToOthers: Bool = false,
    isEphemeral: Bool = false
  ) -> ReceiveAction {
    .event(
      ReceivedEvent(
        type: "x.y", fields: fields.map { .init(key: $0.0, value: $0.1) }, group: group,
        isToOthers: isToOthers,
        isEphemeral: isEphemeral, range: Self.range))
  }

  @Test(arguments: [
    (#"{"type": "ping", "id": 7}"#, #"{"type":"pong","id":7}"#),
    (#"{"type": "ping"}"#, #"{"type":"pong","id":null}"#),
    (#"{"id": [1, {"a": 1.50}], "type": "ping"}"#, #"{"type":"pong","id":[1, {"a": 1.50}]}"#),
    (#"{"type": "x", "id": 1, "type": "ping", "id": "2"}"#, #"{"type":"pong","id":"2"}"#),
  ])
  func `a reply goes to the sender, with values as they came`(said: String, answer: String) {
    let reply = MessageTemplate.object([
      .init(key: "type", value: .constant(.string("pong"))), .init(key: "id", value: .place(.frame("id"))),
    ])
    let client = say(said, to: answering(["ping": .reply(reply)], otherwise: .drop))
    #expect(client.sent == [answer])
    #expect(client.published.isEmpty)
  }

  @Test(arguments: [
    ("a.b", #"{"a": {"b": 1}, "a.b": 2}"#, "2"), ("a.b", #"{"a": {"b": 1}}"#, "1"),
    ("a.0.c", #"{"a": [{"c": true}]}"#, "true"), ("a.00", #"{"a": [1]}"#, "null"),
    ("a.1", #"{"a": [1]}"#, "null"),
    ("a.b", #"{"a": "b"}"#, "null"), ("a.b.c", #"{"a": {"b.c": 3}}"#, "3"),
    ("a", #"{"b": .integer(1)}"#, "null"),
  ])
  func `a place leads into the message, and a member with a dot in its name goes first`(
    path: String, said: String, value: String
  ) {
    let client = say(said, to: answering(by: nil, [:], otherwise: .reply(.place(.frame(path)))))
    #expect(client.sent == [value])
  }

  @Test
  func `an event goes to a group of the session, and says nothing of the message that it does not ask for`() {
    let client = Client()
    client.identity = Identity(user: "ada", claims: ["role": "staff"])
    let fields: [(String, MessageTemplate)] = [
      ("user", .place(.user)),
      ("text", .text([.literal("in "), .place(.capture("room")), .place(.frame("n"))])),
      ("role", .place(.claim("role"))), ("group", .place(.group)),
      ("data", .array([.place(.frame("n")), .place(.frame("deep.x"))])),
    ]
    let consumer = answering(
      ["go": event(fields, isToOthers: true, isEphemeral: true)], otherwise: .error)
    _ = say(
      #"{"type": "go", "user": "admin", "n": 5, "deep": {"x": "y"}, "sluice.user": "z", "ephemeral": false}"#,
      to: consumer, client)
    let expected = Event(
      type: "x.y",
      fields: [
        .init("user", .json("ada")), .init("text", .text(Array("in lobby5".utf8))),
        .init("role", .json("staff")),
        .init("group", .json("chat_lobby")), .init("data", .encodedJSON(Array(#"[5,"y"]"#.utf8))),
        .init("sluice.ephemeral", .json(true)), .init("sluice.except", .json("specific.test!7")),
      ])
    #expect(client.published.map(\.event) == [expected])
    #expect(client.published.map(\.group) == ["chat_lobby"])
  }

  @Test func `a group has to be one of the session's`() {
    let named = ReceivedEvent.Group.named([.literal("room_"), .place(.frame("room"))])
    let matching = ReceivedEvent.Group.matching(GroupPattern(parts: [.literal("room_"), .anything]))
    let consumer = answering(
      ["n": event([], group: named), "m": event([], group: matching)], otherwise: .drop)
    #expect(say(#"{"type": "n", "room": 7}"#, to: consumer).published.map(\.group) == ["room_7"])
    #expect(say(#"{"type": "m"}"#, to: consumer).published.map(\.group) == ["room_7"])
    for room in ["8", #""7 ""#, #""""#, "null", #"["7"]"#, #""*""#] {
      let client = say(#"{"type": "n", "room": \#(room)}"#, to: consumer)
      #expect(client.published.isEmpty)
      #expect(client.sent == [#"{"error": "the message was not sent: the session is in no such group"}"#])
    }
  }

  @Test func `kinds can be numbers and truth values, and are compared code point by code point`() {
    let consumer = answering(by: "a.kind", ["1": .drop, "true": .drop, "é": .drop], otherwise: .error)
    for kind in ["1", #""1""#, "true", #""é""#] {
      #expect(say(#"{"a": {"kind": \#(kind)}}"#, to: consumer).sent.isEmpty)
    }
    for kind in [#""e\u0301""#, "1.0", "null", "[1]"] {
      #expect(say(#"{"a": {"kind": \#(kind)}}"#, to: consumer).sent.count == 1)
    }
  }

  @Test func `an error names the kinds that there are, as far as they fit`() {
    let few = answering(["b": .drop, "a": .drop], otherwise: .error)
    #expect(
      say(#"{"type": "c"}"#, to: few).sent == [
        #"{"error": "\"c\" is not taken as \"type\": send one of: a, b"}"#
      ])
    #expect(
      say("{}", to: few).sent == [#"{"error": "the message has no member \"type\" with one of: a, b"}"#])
    for text in ["[1]", "x", "", #"{"type": "a""#] {
      #expect(
        say(text, to: few).sent == [
          #"{"error": "expected a JSON object with the member \"type\", one of: a, b"}"#
        ])
    }
    let many = Dictionary((0..<500).map { ("kind\($0)", ReceiveAction.drop) }) { first, _ in first }
    let long = String(repeating: "x", count: 10_000)
    let sent = say(#"{"type": "\#(long)"}"#, to: answering(many, otherwise: .error)).sent
    #expect(sent[0].utf8.count < 800)
    #expect(sent[0].contains("more"))
  }

  @Test func `other messages are the consumer's, or the view's`() {
    let said = #"{"message": {"a":  1}, "message": 2}"#
    let chat = say(said, to: answering(on: .chat, ["x": .drop], otherwise: .publish))
    #expect(
      chat.published.map(\.event) == [
        Event(type: "chat.message", fields: [.init("message", .encodedJSON([50]))])
      ])
    let broadcast = say(said, to: answering(on: .broadcast, ["x": .drop], otherwise: .publish))
    #expect(broadcast.published[0].event["text"] == .text(Array(said.utf8)))
    #expect(say(said, to: answering(on: .view, ["x": .drop], otherwise: .ask)).asked == [said])
    #expect(say(#"{"type": "x"}"#, to: answering(on: .view, ["x": .drop], otherwise: .ask)).asked == [])
    let bytes = Client()
    answering(on: .view, ["x": .drop], otherwise: .ask).received(.binary, [1].rawBytes, from: bytes)
    #expect(bytes.asked.count == 1)
  }

  @Test func `a greeting is filled with what is known of the session`() {
    let client = Client()
    client.viewState = ["name": "ada"]
    let consumer = consumer(.view) {
      $0.greetings = [
        .object([
          .init(key: "id", value: .place(.address)), .init(key: "name", value: .place(.state("name"))),
        ]),
        .place(.user),
      ]
    }
    consumer.greet(client)
    #expect(client.sent == [#"{"id":"specific.test!7","name":"ada"}"#, "null"])
  }

  @Test func `one message has one id and one time, in both forms`() throws {
    let all = MessageTemplate.array([
      .place(.id), .place(.id), .place(.time), .place(.timestamp), .text([.place(.id)]),
    ])
    let consumer = answering(by: nil, [:], otherwise: .reply(all))
    let answers = try (0..<2).map { _ in
      try JSON.parse(Array(say("{}", to: consumer).sent[0].utf8).rawBytes)
    }
    guard case .array(let first) = answers[0], case .array(let second) = answers[1] else {
      return #expect(Bool(false))
    }
    #expect(first[0] == first[1] && first[0] == first[4] && first[0] != second[0])
    guard case .string(let id) = first[0], case .string(let time) = first[2] else {
      return #expect(Bool(false))
    }
    #expect(id.contains(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/))
    #expect(time.contains(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/))
    guard case .double(let seconds) = first[3] else { return #expect(Bool(false)) }
    #expect(seconds > 1_700_000_000)
  }

  /// Whatever a message holds: what is not `frame` stays what the gateway knows.
  @Test(arguments: 0..<40)
  func `no message fills another place`(seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    let names = [
      "user", "claims", "claims.role", "channel", "state", "state.x", "sluice", "sluice.id", "sluice.group",
      "sluice.user", "sluice.except", "frame", "frame.a", "frame.user", "room", "type", "{user}", "a", "a.b",
      "__proto__", "\u{0}", "user\u{301}",
    ]
    func value(_ depth: Int) -> JSON {
      switch Int.random(in: 0..<(depth > 3 ? 4 : 6), using: &random) {
      case 0: .string("evil {user} {claims.role}")
      case 1: .integer(Int64.random(in: 0..<100, using: &random))
      case 2: .null
      case 3: .bool(true)
      case 4: .array((0..<2).map { _ in value(depth + 1) })
      default:
        .object(
          (0..<3).map { _ in .init(key: names.randomElement(using: &random) ?? "", value: value(depth + 1)) })
      }
    }
    let client = Client()
    client.identity = Identity(user: "ada", claims: ["role": "staff"])
    client.viewState = ["x": .integer(1)]
    let places: [MessagePlace] = [
      .user, .claim("role"), .address, .state("x"), .group, .capture("room"),
    ]
    let consumer = answering(
      by: nil, [:],
      otherwise: event(
        places.enumerated().map { ("p\($0.offset)", .place($0.element)) } + [("f", .place(.frame("a")))]))
    for _ in 0..<50 {
      client.published = []
      let members = (0..<6).map { _ in
        JSON.Member(key: names.randomElement(using: &random) ?? "", value: value(0))
      }
      let frame = JSON.object(members)
      _ = say(String(decoding: frame.bytes, as: UTF8.self), to: consumer, client)
      let (sent, group) = try #require(client.published.first)
      let expected: [EventValue] = [
        .json("ada"), .json("staff"), .json("specific.test!7"), .json(.integer(1)), .json("chat_lobby"),
        .json("lobby"),
      ]
      #expect(sent.fields.prefix(6).map(\.value) == expected)
      #expect(sent.fields.count == 7 && sent.type == "x.y" && group == "chat_lobby")
      #expect(sent.recipients == .all)
    }
  }
}

/// `deliver` of a route.
struct DeliveryTests {
  private func chat(
    _ rules: [String: DeliveryRule], events: [String: EventTemplate] = [:],
    report: (@Sendable (UnfitEvents.Report) -> Void)? = nil
  ) -> Consumer {
    var group = GroupConfiguration(templates: [GroupPattern(parts: [.literal("g")])], events: events)
    group.deliveries = rules
    return .chat(Chat(group, report: report))
  }

  private func rendered(_ consumer: Consumer, _ event: Event, for receiver: EventReceiver? = nil) -> (
    Rendering, String
  ) {
    let frames = SharedBytes(capacity: 64)
    let rendering = consumer.render(event, for: receiver, into: frames)
    let bytes = unsafe frames.withBytes(from: 0) { unsafe Array($0) }
    return (rendering, String(decoding: bytes.dropFirst(2), as: UTF8.self))
  }

  private func recipients(_ consumer: Consumer, _ event: Event) -> EventRecipients? {
    consumer.recipients(of: event, own: event.ownRecipients)
  }

  @Test(arguments: ["sluice.except", "except"])
  func `an event that leaves out too many is for nobody, and is reported once`(field: String) {
    let reports = Mutex<[String]>([])
    let consumer = chat(["cursor.update": DeliveryRule(recipients: .others)]) { report in
      reports.withLock { $0.append("\(report.fate) \(report.type): \(report.reason)") }
    }
    func event(_ count: Int) -> Event {
      let addresses = (0..<count).map { JSON.string("\($0)") }
      return Event(type: "cursor.update", fields: [.init(field, .json(.array(addresses)))])
    }
    #expect(recipients(consumer, event(100))?.except.count == 100)
    #expect(reports.withLock { $0.isEmpty })
    for _ in 0..<2 { #expect(recipients(consumer, event(101)) == nil) }
    #expect(
      reports.withLock { $0 } == ["dropped cursor.update: it leaves out more than 100 sessions"])
  }

  @Test func `who is left out stands in fields that no frame shows`() {
    var event = Event(
      type: "cursor_update",
      fields: [
        .init("x", .json(.integer(1))), .init("except", .json(.array(["one", "two"]))),
        .init("sluice.except", .json("three")),
      ])
    let consumer = chat(["cursor.update": DeliveryRule(recipients: .others)])
    #expect(consumer.selects)
    #expect(recipients(consumer, event) == EventRecipients(except: ["three", "one", "two"]))
    #expect(rendered(consumer, event).1 == #"{"type":"cursor_update","x":1}"#)
    event.fields = []
    #expect(recipients(consumer, event) == .all)
    #expect(!chat([:]).selects)
  }

  @Test func `a rule names the user in the event`() {
    let rule = DeliveryRule(recipients: .user(TextTemplate(parts: [.place("data.owner_id")])))
    let consumer = chat(["s.u": rule])
    func event(_ data: JSON) -> Event { Event(type: "s.u", fields: [.init("data", .json(data))]) }
    #expect(recipients(consumer, event(["owner_id": .integer(5)])) == EventRecipients(user: "5"))
    #expect(recipients(consumer, event(["owner_id": "5"])) == EventRecipients(user: "5"))
    // Nobody is called nothing.
    #expect(recipients(consumer, event(["owner": .integer(5)])) == EventRecipients(user: ""))
    let other = event(["owner_id": .integer(5)]).addressed(to: EventRecipients(user: "6"))
    #expect(recipients(consumer, other) == EventRecipients(user: ""))
  }

  @Test func `text goes out without JSON, and a close follows its frame`() {
    let consumer = chat(
      [
        "raw": DeliveryRule(text: TextTemplate(parts: [.literal("> "), .place("text")])),
        "chat.message": DeliveryRule(closing: .init(code: 4001, reason: "done")),
      ])
    #expect(
      rendered(consumer, Event(type: "raw", fields: [.init("text", .json(#""a""#))])) == (.frames, #"> "a""#))
    let message = Event(type: "chat.message", fields: [.init("message", .json(.integer(1)))])
    #expect(rendered(consumer, message) == (.close(code: 4001, reason: "done"), #"{"message": 1}"#))
  }

  @Test func `what a view keeps about a session makes its frames personal`() {
    let consumer = chat([:], events: ["x": .object([.init(key: "n", value: .field("sluice.state.name"))])])
    let event = Event(type: "x", fields: [.init("sluice.state", .json(["name": "forged"]))])
    #expect(rendered(consumer, event).0 == .personal)
    let receiver = EventReceiver(address: "a", state: Array(#"{"name": "ada"}"#.utf8))
    #expect(rendered(consumer, event, for: receiver).1 == #"{"n":"ada"}"#)
    #expect(rendered(consumer, event, for: EventReceiver(address: "a")).1 == #"{"n":null}"#)
  }

  @Test(arguments: [
    ("job.id", #"7"#), ("job.tags.1", #""b""#), ("job.none", "null"), ("items.0.x", "1"), ("a.b", "2"),
    ("type", #""x""#),
  ])
  func `a template leads into fields`(place: String, value: String) {
    let consumer = chat([:], events: ["x": .field(place)])
    let event = Event(
      type: "x",
      fields: [
        .init("job", .encodedJSON(Array(#"{"id": 7, "tags": ["a", "b"]}"#.utf8))),
        .init("items", .json(.array([["x": .integer(1)]]))), .init("a.b", .json(.integer(2))),
        .init("a", .json(["b": .integer(3)])),
      ])
    #expect(rendered(consumer, event).1 == value)
  }
}
