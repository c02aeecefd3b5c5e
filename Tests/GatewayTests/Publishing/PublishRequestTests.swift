import ChannelLayers
import JSON
import Sessions
import Testing

@testable import Gateway

private func read(
  _ text: String, from sender: PublishSender = .backEnd, mayName: (String) -> Bool = { !$0.hasPrefix("no_") }
) throws(PublishRefusal) -> PublishRequest {
  try PublishRequest(Array(text.utf8), from: sender, mayName: mayName)
}

private func refused(_ text: String, from sender: PublishSender = .backEnd) -> PublishRefusal? {
  do throws(PublishRefusal) {
    _ = try read(text, from: sender)
    return nil
  } catch {
    return error
  }
}

struct PublishRequestTests {
  @Test func `an event goes on with its fields in their order, lists and objects as they were written`()
    throws
  {
    let request = try read(
      #" {"group": "room", "event": {"b": 1.50, "type": "x.y", "a": {"k": [1.50, "é"]}, "s": "\u00e9", "n": null}} "#
    )
    #expect(request.events.map(\.group) == ["room"])
    #expect(
      request.events[0].event
        == Event(
          type: "x.y",
          fields: [
            .init("b", .json(.double(1.5))), .init("a", .encodedJSON(Array(#"{"k": [1.50, "é"]}"#.utf8))),
            .init("s", .text(Array("é".utf8))), .init("n", .json(.null)),
          ]))
  }

  @Test func `the shortcuts are the events that chat and broadcast understand`() throws {
    let bodies = [
      #"{"group": "g", "message": {"a": 1.0}}"#, #"{"group": "g", "text": "hi"}"#,
      #"{"group": "g", "bytes": "AP8="}"#,
    ]
    let events = try bodies.map { try read($0).events[0].event }
    #expect(
      events == [
        Event(type: "chat.message", fields: [.init("message", .encodedJSON(Array(#"{"a": 1.0}"#.utf8)))]),
        Event(type: "broadcast.message", fields: [.init("text", .text(Array("hi".utf8)))]),
        Event(type: "broadcast.message", fields: [.init("bytes", .bytes([0, 255]))]),
      ])
  }

  @Test func `what is ephemeral is marked, and no history keeps it`() throws {
    let mark = Event.Field("sluice.ephemeral", .json(.bool(true)))
    let request = try read(
      #"{"batch": [{"group": "g", "text": "x", "ephemeral": true}, {"group": "g", "text": "x", "ephemeral": false}]}"#
    )
    let text = Event.Field("text", .text(Array("x".utf8)))
    #expect(request.events.map(\.event.fields) == [[text, mark], [text]])
    #expect(request.events.map(\.event.isRecordable) == [false, true])
    #expect(throws: PublishRefusal.self) { try read(#"{"group": "g", "text": "x", "ephemeral": 1}"#) }
  }

  @Test func `an item can be for some of its group`() throws {
    let request = try read(
      #"{"batch": [{"group": "g", "text": "x", "except": "a"}, {"group": "g", "text": "x", "except": ["a", "b"], "to": {"user": 5}}]}"#
    )
    #expect(
      request.events.map(\.event.recipients) == [
        EventRecipients(except: ["a"]), EventRecipients(except: ["a", "b"], user: "5"),
      ])
    for wrong in [
      #""except": 5"#, #""except": [""]"#, #""to": "others""#, #""to": {"user": ""}"#,
      #""to": {"user": "5", "x": 1}"#,
      #""except": [\#((0..<101).map { "\"\($0)\"" }.joined(separator: ","))]"#,
    ] {
      #expect(throws: PublishRefusal.self) { try read(#"{"group": "g", "text": "x", \#(wrong)}"#) }
    }
    let many = (0..<101).map { "\"\($0)\"" }.joined(separator: ",")
    #expect(throws: PublishRefusal.self) {
      try read(#"{"group": "g", "event": {"type": "a", "sluice.except": [\#(many)]}}"#)
    }
  }

  @Test func `groups and items keep their order`() throws {
    let request = try read(
      #"{"batch": [{"groups": ["b", "a"], "message": 1}, {"group": "c", "text": ""}], "idempotency_key": "k"}"#
    )
    #expect(request.events.map(\.group) == ["b", "a", "c"])
    #expect(request.idempotencyKey == "k")
  }

  static let faulty: [(body: String, status: Int, words: String)] = [
    ("", 400, "the request is not JSON: a value is missing at byte 0"),
    ("[]", 400, "the request is a list, not an object, at byte 0"),
    ("5", 400, "the request is a number, not an object"),
    ("{}", 400, #"the request needs a "group", or "groups""#),
    (#"{"group": "g"}"#, 400, #"the request needs an "event", or a "message", "text" or "bytes""#),
    (#"{"group": "g", "groups": ["h"], "message": 1}"#, 400, "not both"),
    (#"{"group": "g", "message": 1, "text": "a"}"#, 400, #"can have "message" or "text", not both"#),
    (#"{"group": "g", "message": 1, "group": "h"}"#, 400, #""group" appears twice"#),
    (#"{"grup": "g", "message": 1}"#, 400, #"unknown member "grup" in the request: did you mean "group"?"#),
    (
      #"{"group": "g", "mesage": 1}"#, 400,
      #"unknown member "mesage" in the request: did you mean "message"?"#
    ),
    (#"{"batch": [{"group": "g", "mesage": 1}]}"#, 400, #"unknown member "mesage" in item 1"#),
    (
      #"{"group": "g", "mesage": 1, "text": ""}"#, 400,
      #"unknown member "mesage" in the request: did you mean "message"?"#
    ),
    (
      #"{"group": "g", "message": 1, "batch": [{"group": "g", "message": 1}]}"#, 400,
      "unknown member \"group\""
    ),
    (#"{"group": 1, "message": 1}"#, 400, #""group" in the request must be a string"#),
    (#"{"group": "a b", "message": 1}"#, 400, #""a b" is not a valid group name"#),
    (#"{"group": "sluice.control", "message": 1}"#, 400, "is not a valid group name"),
    (#"{"group": "no_way", "message": 1}"#, 403, #"this route may not publish to the group "no_way""#),
    (#"{"groups": [], "message": 1}"#, 400, "is empty"),
    (#"{"groups": ["a", "a"], "message": 1}"#, 400, "appears twice"),
    (#"{"groups": ["a", 1], "message": 1}"#, 400, "must be a list of group names"),
    (#"{"groups": "a", "message": 1}"#, 400, "must be a list"),
    (#"{"batch": []}"#, 400, "is empty"),
    (#"{"batch": [1]}"#, 400, #"item 1 of "batch" is a number, not an object"#),
    (#"{"batch": [{"group": "a", "message": 1}, {"group": "a"}]}"#, 400, #"item 2 of "batch" needs an"#),
    (#"{"group": "g", "event": {}}"#, 400, #"the event of the request needs a "type""#),
    (#"{"group": "g", "event": {"type": "a b"}}"#, 400, "is not a valid event type"),
    (#"{"group": "g", "event": {"type": "_a"}}"#, 400, "is not a valid event type"),
    (#"{"group": "g", "event": {"type": "sluice.disconnect", "user": "5"}}"#, 400, "Sluice's own"),
    (#"{"group": "g", "event": {"type": "sluice_presence", "presence": {}}}"#, 400, "Sluice's own"),
    (#"{"group": "g", "event": {"type": "sluice_disconnect", "user": "5"}}"#, 400, "Sluice's own"),
    (
      #"{"group": "g", "event": {"type": "a", "__asgi_channel__": ["x"]}}"#, 400, "cannot have a field called"
    ),
    (#"{"group": "g", "bytes": "A"}"#, 400, "base64"),
    (#"{"group": "g", "bytes": "AA=A"}"#, 400, "base64"),
    (#"{"group": "g", "bytes": "AB=="}"#, 400, "base64"),
    (#"{"group": "g", "bytes": "AA=="} x"#, 400, "more after the value"),
    (
      #"{"group": "g", "message": 1e999}"#, 400,
      "a number that is too large at byte 26: send the number as a string"
    ),
    (
      #"{"group": "g", "message": 18446744073709551616}"#, 400,
      "the request is JSON with an integer that does not fit into 64 bits at byte 26: send the number as a string"
    ),
    (
      "\u{FEFF}{}", 400,
      "the request is not JSON: a byte order mark stands before the text at byte 0: send UTF-8 without one"
    ),
    (#"{"group": "g", "message": 1, "idempotency_key": ""}"#, 400, "1 to 255 bytes"),
    ("{\"group\": \"g\", \"message\": " + String(repeating: "[", count: 70), 400, "nested too deep"),
  ]

  @Test(arguments: faulty)
  func `what is wrong is said, and nothing of the request is left`(
    _ row: (body: String, status: Int, words: String)
  ) throws {
    let refusal = try #require(refused(row.body))
    #expect(refusal.row.status == row.status)
    #expect(refusal.row.text.contains(row.words), "\(refusal.row.text)")
  }

  @Test(arguments: [
    #"{"type": "chat.message", "message": 1, "user": "bob"}"#, #"{"type": "websocket.close"}"#,
    #"{"type": "websocket_send", "text": "x"}"#,
  ])
  func `users publish no whole events, unless their route allows it`(_ event: String) throws {
    let ann = PublishSender(user: "ann", maySendEvents: false)
    let body = #"{"group": "g", "event": \#(event)}"#
    let refusal = try #require(refused(body, from: ann))
    #expect(refusal.row.status == 403)
    #expect(refusal.row.text.contains(#""events" is not in its "allow""#))
    #expect(refused(#"{"batch": [\#(body)]}"#, from: ann)?.row.status == 403)
    let staff = PublishSender(user: nil, maySendEvents: true)
    #expect(try read(body, from: staff).events[0].event == (try read(body).events[0].event))
  }

  @Test func `what a user publishes says who it was`() throws {
    let ann = PublishSender(user: "ann", maySendEvents: false)
    for (body, name) in [
      (#""message": 1"#, "message"), (#""text": "x""#, "text"), (#""bytes": "AA==""#, "bytes"),
    ] {
      let event = try read("{\"group\": \"g\", \(body)}", from: ann).events[0].event
      #expect(event.fields.map(\.name) == [name, "user"])
      #expect(event["user"] == .json(.string("ann")))
    }
  }

  @Test func `a request is bounded in its events`() throws {
    let names = (0..<1000).map { "\"g\($0)\"" }.joined(separator: ",")
    #expect(try read("{\"groups\": [\(names)], \"message\": 1}").events.count == 1000)
    #expect(refused("{\"groups\": [\(names),\"one.more\"], \"message\": 1}")?.row.status == 413)
  }

  @Test func `what is repeated of a request is short`() {
    let name = String(repeating: "x", count: 10_000)
    #expect((refused("{\"group\": \"\(name)\", \"message\": 1}")?.row.text.count ?? .max) < 250)
    #expect((refused("{\"group\": \"g\", \"message\": 1, \"\(name)\": 1}")?.row.text.count ?? .max) < 250)
  }
}
