import GatewayConfig
import LayerTestSupport
import Routing
import Testing
import WebSocketCore

@testable import Sessions

private typealias Question = ViewQuestion

private func record(_ state: String? = nil, user: String? = nil) -> ViewRecord {
  ViewRecord(
    address: "specific.a!b", route: "chat", target: "/ws/1/", path: "/ws/1/", query: "", captures: Captures(),
    host: "example.org", client: "10.0.0.7", isSecure: false, user: user, claims: nil, groups: [],
    state: state.map { Array($0.utf8) }, since: 1000)
}

private func question(_ event: Question.Event, _ session: ViewRecord = record()) -> Question {
  Question(id: "00ff-1", event: event, session: session)
}

private let check = Question(id: "00ff-1", event: .check, place: .init(route: "chat", target: "/ws/"))

private func text(_ number: UInt64, _ text: String) -> Question.Message {
  Question.Message(number: number, payload: .text(Array(text.utf8)))
}

private func body(_ event: Question.Event) -> String {
  String(decoding: WebSocketOverHTTP.body(of: question(event)), as: UTF8.self)
}

private func end(_ code: UInt16, _ reason: String = "", isPresumed: Bool = false) -> Question.Event {
  .disconnect(SessionEnd(code: code, reason: reason, duration: 1, isPresumed: isPresumed))
}

struct WebSocketOverHTTPQuestionTests {
  /// What pushpin 1.36 sends in each case.
  @Test func `the bodies are those of pushpin`() {
    #expect(body(.connect(.init(), isAgain: false)) == "OPEN\r\n")
    #expect(body(.receive([text(1, "hé")])) == "TEXT 3\r\nhé\r\n")
    #expect(
      body(.receive([text(1, ""), .init(number: 2, payload: .bytes([0x61, 0x62]))]))
        == "TEXT 0\r\n\r\nBINARY 2\r\nab\r\n")
    #expect(body(.receive([])) == "")
    #expect(WebSocketOverHTTP.body(of: check).isEmpty)
    #expect(body(end(1006)) == "DISCONNECT\r\n")
    #expect(body(end(1015)) == "DISCONNECT\r\n")
    #expect(body(end(1000, isPresumed: true)) == "DISCONNECT\r\n")
    #expect(body(end(1005)) == "CLOSE\r\n")
    #expect(
      WebSocketOverHTTP.body(of: question(end(1001, "bye"))) == Array("CLOSE 5\r\n".utf8) + [3, 0xE9]
        + Array("bye\r\n".utf8))
  }

  private func fields(_ event: Question.Event, _ session: ViewRecord, _ secrets: [Secret] = []) -> [String] {
    fields(of: question(event, session), secrets)
  }

  private func fields(of question: Question, _ secrets: [Secret] = []) -> [String] {
    WebSocketOverHTTP.fields(of: question, secrets: secrets, at: 1_700_000_000).map {
      "\($0.name): \($0.value)"
    }
  }

  @Test func `the fields name the connection, and carry what the back end has set`() {
    let common = [
      "Content-Type: application/websocket-events", "Accept: application/websocket-events",
      "Connection-Id: specific.a!b", "Sec-WebSocket-Extensions: grip",
      "X-Sluice-Id: 00ff-1",
    ]
    #expect(
      fields(.receive([]), record(#"{"user":"ann",":message-prefix":"m:","n":1}"#)) == common + [
        "Meta-user: ann"
      ])
    #expect(
      fields(.connect(.init(subprotocols: ["a", "b"]), isAgain: false), record())
        == common + ["Sec-WebSocket-Protocol: a, b"])
    #expect(fields(of: check)[2] == "Connection-Id: 00ff-1")
  }

  @Test func `a state that another protocol has left makes no fields of its own`() {
    let state = #"{"a":"1\r\nX-Admin: yes","b":"2\u0000","c d":"3","e":"4"}"#
    let meta = fields(.receive([]), record(state)).filter { $0.hasPrefix("Meta-") }
    #expect(meta == ["Meta-e: 4"])
    var grip = GripState()
    grip.set("a", to: "1\nb")
    #expect(grip == GripState())
  }

  @Test func `the first secret signs, and says whose session it is`() {
    let secrets = [Secret("a key of more than sixteen bytes"), Secret("another key of sixteen bytes")]
    let signed = fields(.receive([]), record(user: "ann"), secrets)
    #expect(signed.last == "Grip-Sig: " + GripToken.make(secrets[0], user: "ann", at: 1_700_000_000))
  }

  @Test(arguments: ["Connection-Id", "meta-user", "Grip-Sig", "GRIP-LAST"])
  func `a client does not speak for its gateway`(_ name: String) {
    #expect(WebSocketOverHTTP.isReserved(name))
    #expect(!WebSocketOverHTTP.isReserved("x-\(name)"))
  }
}

// MARK: - Answers

private let mediaType = HeaderField(name: "content-type", value: "application/websocket-events")

private func answer(
  _ fields: [(String, String)] = [], _ body: String, to event: Question.Event = .receive([]),
  _ state: String? = nil
) -> Result<ViewAnswer, WebSocketOverHTTP.Fault> {
  Result { () throws(WebSocketOverHTTP.Fault) in
    try WebSocketOverHTTP.answer(
      [mediaType] + fields.map { HeaderField(name: $0.0, value: $0.1) }, Array(body.utf8),
      to: question(event, record(state)))
  }
}

private let connect = Question.Event.connect(.init(subprotocols: ["chat"]), isAgain: false)
private let grip = #"{":message-prefix":"m:"}"#

struct WebSocketOverHTTPAnswerTests {
  private static func done(_ actions: [ViewAnswer.Action], state: String? = nil) -> ViewAnswer {
    var answer = ViewAnswer()
    answer.actions = actions
    answer.state = state.map { Array($0.utf8) }
    return answer
  }

  private static func said(_ text: String) -> ViewAnswer.Action { .send(.text, Array(text.utf8)) }

  /// The fields and the body of django-grip for: accept, subscribe, send, and a field of Meta.
  @Test func `an answer of django-grip to OPEN lets in, joins, says hello and keeps a field`() {
    let control = #"c:{"channel": "room_1", "type": "subscribe"}"#
    #expect(
      answer(
        [("sec-websocket-extensions", "grip"), ("set-meta-user", "ann")],
        "OPEN\r\nTEXT 2c\r\n\(control)\r\nTEXT 7\r\nm:hello\r\n", to: connect)
        == .success(
          Self.done([.join("room_1"), Self.said("hello")], state: #"{"user":"ann",":message-prefix":"m:"}"#)))
  }

  /// Bodies of answers to *receive* on a connection with GRIP, and what is done.
  private static let bodies: [(String, [ViewAnswer.Action])] = [
    ("", []), ("TEXT 4\r\nm:hi\r\n", [said("hi")]), ("TEXT 2\r\nm:\r\n", [said("")]),
    ("BINARY 4\r\nm:hi\r\n", [.send(.binary, Array("hi".utf8))]),
    ("PONG\r\nPING 2\r\nab\r\n", []),
    ("CLOSE\r\n", [.close(code: 1000, reason: "")]),
    ("CLOSE 2\r\n\0\0\r\n", [.close(code: 1000, reason: "")]),
    ("CLOSE 5\r\n\u{f}\u{41}bye\r\nTEXT 4\r\nm:hi\r\n", [.close(code: 3905, reason: "bye")]),
    ("TEXT 4\r\nm:hi\r\nDISCONNECT\r\nTEXT 4\r\nm:hi\r\n", [said("hi"), .close(code: 1011, reason: "")]),
    (
      "TEXT 28\r\nc:{\"type\":\"unsubscribe\",\"channel\":\"abc\"}\r\n", [.leave("abc")]
    ),
  ]

  @Test(arguments: bodies.indices)
  func `events are done in their order`(_ index: Int) {
    #expect(answer(Self.bodies[index].0, grip) == .success(Self.done(Self.bodies[index].1)))
  }

  private func answer(_ body: String, _ state: String?) -> Result<ViewAnswer, WebSocketOverHTTP.Fault> {
    SessionsTests.answer([], body, to: .receive([]), state)
  }

  private func answer(
    _ fields: [(String, String)], _ body: String, to event: Question.Event, _ state: String? = nil
  ) -> Result<ViewAnswer, WebSocketOverHTTP.Fault> {
    SessionsTests.answer(fields, body, to: event, state)
  }

  @Test func `without the extension everything is for the client`() {
    #expect(answer("TEXT 4\r\nc:{}\r\n", nil) == .success(Self.done([Self.said("c:{}")])))
    #expect(answer([], "OPEN\r\nTEXT 4\r\nm:hi\r\n", to: connect) == .success(Self.done([Self.said("m:hi")])))
  }

  @Test func `the prefix is the one that was agreed on`() {
    #expect(
      answer(
        [("sec-websocket-extensions", #"grip; message-prefix="""#)], "OPEN\r\nTEXT 2\r\nhi\r\n", to: connect)
        == .success(Self.done([Self.said("hi")], state: #"{":message-prefix":""}"#)))
    var expected = Self.done([Self.said("hi")])
    expected.passedOver = [#"a message without the prefix "m:" was not sent"#]
    #expect(answer("TEXT 2\r\nno\r\nTEXT 4\r\nm:hi\r\nTEXT 2\r\nno\r\n", grip) == .success(expected))
  }

  @Test func `fields are set, changed and removed, and unchanged ones say nothing`() {
    let state = #"{"a":"1","b":"2"}"#
    func after(_ fields: [(String, String)]) -> String? {
      (try? answer(fields, "", to: .receive([]), state).get())?.state.map {
        String(decoding: $0, as: UTF8.self)
      }
    }
    #expect(after([("set-meta-a", "1")]) == nil)
    #expect(after([("set-meta-a", ""), ("set-meta-c", "3")]) == #"{"b":"2","c":"3"}"#)
    #expect(after([("set-meta-a", ""), ("set-meta-b", "")]) == "null")
  }

  @Test func `the times of a quiet connection are those of pushpin`() {
    func idle(_ text: String) -> ViewAnswer.Idle? {
      (try? answer([("keep-alive-interval", text)], "", to: .receive([])).get())?.idle
    }
    #expect(idle("120") == .asked(after: .seconds(120)))
    #expect(idle("5") == .asked(after: .seconds(20)))
    #expect(idle("99999999") == .asked(after: .seconds(86_400)))
    #expect(idle("0") == .silent)
    #expect(idle("x") == .silent)
    #expect((try? answer("", nil).get())?.idle == nil)
  }

  /// The lengths of messages, the bytes that were accepted, and how many messages that is.
  private static let accepted: [(lengths: [Int], bytes: String, taken: Int?)] = [
    ([3, 4], "0", 0), ([3, 4], "3", 1), ([3, 4], "7", 2), ([0, 3], "0", 1), ([3, 0, 0, 4], "3", 3),
    ([], "0", 0), ([3, 4], "2", nil), ([3, 4], "6", nil), ([3, 4], "8", nil), ([3], "-1", nil),
    ([3], "x", nil),
  ]

  @Test(arguments: accepted.indices)
  func `bytes are accepted as whole messages`(_ index: Int) {
    let (lengths, bytes, taken) = Self.accepted[index]
    let messages = lengths.enumerated().map { text(UInt64($0 + 1), String(repeating: "x", count: $1)) }
    let read = try? answer([("content-bytes-accepted", bytes)], "", to: .receive(messages)).get()
    #expect(read?.taken == taken)
    #expect((read == nil) == (taken == nil))
  }

  @Test func `the subprotocol is one that the client offers`() {
    #expect(
      (try? answer([("sec-websocket-protocol", "chat")], "OPEN\r\n", to: connect).get())?.subprotocol
        == "chat")
    #expect((try? answer([("sec-websocket-protocol", "mqtt")], "OPEN\r\n", to: connect).get()) == nil)
  }

  @Test func `whatever is answered to the end of a connection is an answer`() throws {
    #expect(
      try WebSocketOverHTTP.answer([], Array("<h1>Server Error</h1>".utf8), to: question(end(1006)))
        == ViewAnswer())
  }

  private static let faults: [(body: String, to: Question.Event, fault: String)] = [
    ("", connect, "the first event of the answer to OPEN has to be OPEN"),
    ("CLOSE\r\n", connect, "the first event of the answer to OPEN has to be OPEN"),
    ("OPEN\r\nOPEN\r\n", connect, "the answer has an OPEN for a connection that is open"),
    ("OPEN\r\n", .receive([]), "the answer has an OPEN for a connection that is open"),
    ("OPE\r\n", .receive([]), "the body of the answer cannot be read: \"OPE\" is not an event at byte 0"),
    ("CLOSE 1\r\nx\r\n", .receive([]), "a CLOSE of the answer has a content of one byte"),
    (
      "CLOSE 2\r\n\u{3}\u{7f}\r\n", .receive([]),
      "a CLOSE of the answer has the code 895, which must not be sent"
    ),
    ("TEXT e\r\nc:{\"type\":\"x\"}\r\n", .receive([]), "there is no control message \"x\""),
  ]

  @Test(arguments: faults.indices)
  func `nothing of a malformed answer is done`(_ index: Int) {
    let (body, event, fault) = Self.faults[index]
    #expect(answer([], body, to: event, grip) == .failure(.init(fault)))
  }

  @Test func `text has to be UTF-8, and a reason too`() {
    let texts: [[UInt8]] = [
      Array("TEXT 1\r\n".utf8) + [0xFF] + Array("\r\n".utf8),
      Array("CLOSE 3\r\n".utf8) + [3, 0xE8, 0xFF] + Array("\r\n".utf8),
    ]
    for text in texts {
      #expect(throws: WebSocketOverHTTP.Fault.self) {
        try WebSocketOverHTTP.answer([mediaType], text, to: question(.receive([])))
      }
    }
  }

  @Test func `another type, and more state than there is room for, are faults`() {
    #expect(
      throws: WebSocketOverHTTP.Fault(
        "the Content-Type of the answer is \"text/html\", not application/websocket-events")
    ) {
      try WebSocketOverHTTP.answer(
        [HeaderField(name: "content-type", value: "text/html")], [], to: question(.receive([])))
    }
    let long = String(repeating: "x", count: ViewRecord.longestState)
    #expect(throws: WebSocketOverHTTP.Fault.self) {
      try answer([("set-meta-a", long)], "", to: .receive([])).get()
    }
  }
}
