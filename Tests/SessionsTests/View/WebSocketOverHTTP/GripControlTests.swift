import Testing
import WebSocketCore

@testable import Sessions

private func read(_ text: String) -> Result<GripControl, GripControl.Fault> {
  Result { () throws(GripControl.Fault) in try GripControl(Array(text.utf8)[...]) }
}

struct GripControlTests {
  @Test func `subscriptions name a channel`() {
    #expect(read(#"{"type": "subscribe", "channel": "room_1"}"#) == .success(.subscribe("room_1")))
    #expect(
      read(#"{"type": "subscribe", "channel": "room_1", "filters": []}"#) == .success(.subscribe("room_1")))
    #expect(read(#"{"channel": "room_1", "type": "unsubscribe"}"#) == .success(.unsubscribe("room_1")))
  }

  @Test(arguments: [
    #"{"type": "set-meta", "name": "user", "value": "ann"}"#, #"{"type": "session", "id": "x"}"#,
    #"{"type": "keep-alive", "content": "hi", "timeout": 30}"#,
  ])
  func `what harms nobody is passed over`(_ text: String) {
    guard case .success(.passedOver) = read(text) else {
      Issue.record("\(read(text))")
      return
    }
  }

  private static let faults = [
    ("", "a control message is not JSON: "), ("[]", "a control message has no \"type\""),
    ("{}", "a control message has no \"type\""), (#"{"type": 1}"#, "a control message has no \"type\""),
    (#"{"type": "subscribe"}"#, "a control message names no \"channel\""),
    (#"{"type": "subscribe", "channel": ""}"#, "a control message names no \"channel\""),
    (#"{"type": "unsubscribe", "channel": 5}"#, "a control message names no \"channel\""),
    (
      #"{"type": "subscribe", "channel": "a", "filters": ["skip-self"]}"#,
      "\"filters\" of \"subscribe\" are not supported"
    ), (#"{"type": "detach"}"#, "the control message \"detach\" is not supported"),
    (
      #"{"type": "send-delayed", "content": "x"}"#, "the control message \"send-delayed\" is not supported"
    ), (#"{"type": "flush-delayed"}"#, "the control message \"flush-delayed\" is not supported"),
    (#"{"type": "subscribed", "channel": "a"}"#, "there is no control message \"subscribed\""),
    (#"{"type": "subscribe", "channel": "a"} x"#, "a control message is not JSON: "),
  ]

  @Test(arguments: faults)
  func `what would be done otherwise than asked is a fault`(_ text: String, _ fault: String) {
    guard case .failure(let found) = read(text) else {
      Issue.record("read")
      return
    }
    #expect(found.message.hasPrefix(fault), "\(found.message)")
  }
}

struct GripExtensionTests {
  private static let values: [(String, [GripExtension]?)] = [
    ("grip", [GripExtension(name: "grip")]),
    (#"grip; message-prefix="m:""#, [GripExtension(name: "grip", prefix: "m:")]),
    (#"grip;message-prefix="""#, [GripExtension(name: "grip", prefix: "")]),
    (
      #"grip; message-prefix=x, foo; a"#,
      [GripExtension(name: "grip", prefix: "x"), GripExtension(name: "foo")]
    ),
    (#"grip; message-prefix="a\"b""#, [GripExtension(name: "grip", prefix: "a\"b")]),
    ("", nil), ("grip;", nil), ("grip; message-prefix=", nil), (#"grip; message-prefix="a"#, nil),
    ("grip x", nil),
  ]

  @Test(arguments: values.indices)
  func `a value in quotes may be empty, and hold a colon`(_ index: Int) {
    #expect(GripExtension.all(in: Self.values[index].0) == Self.values[index].1)
  }
}

struct GripStateTests {
  @Test func `fields are texts of the state, by their names`() {
    var state = GripState()
    #expect(state.json == nil)
    state.set("user", to: "ann")
    state.set("room", to: "é\"1")
    state.prefix = "m:"
    #expect(
      state.json.map { String(decoding: $0, as: UTF8.self) }
        == #"{"user":"ann","room":"é\"1",":message-prefix":"m:"}"#)
    #expect(GripState(state.json) == state)
    state.set("user", to: "bob")
    state.set("room", to: "")
    state.set("none", to: "")
    #expect(state.meta.map { "\($0.name)=\($0.value)" } == ["user=bob"])
  }

  @Test(arguments: ["null", "[]", "1", "{", #"{"a b":"c","":"d","n":1,"o":{}}"#])
  func `the state of another protocol gives no fields`(_ text: String) {
    #expect(GripState(Array(text.utf8)) == GripState())
  }
}
