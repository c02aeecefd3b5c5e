import ChannelLayers
import GatewayConfig
import JSON
import LayerTestSupport
import Testing
import Transport

@testable import Gateway
@testable import Sessions

private func read(_ text: String) -> Result<GripRequest, PublishRefusal> {
  Result { () throws(PublishRefusal) in try GripRequest(Array(text.utf8)) { !$0.hasPrefix("no_") } }
}

private func items(_ items: String...) -> String {
  #"{"items": [\#(items.joined(separator: ", "))]}"#
}

private func event(_ text: String, to group: String = "room") -> GroupEvent {
  GroupEvent(Event(type: "broadcast.message", fields: [.init("text", .text(Array(text.utf8)))]), to: group)
}

private func bytes(_ bytes: [UInt8], to group: String = "room") -> GroupEvent {
  GroupEvent(Event(type: "broadcast.message", fields: [.init("bytes", .bytes(bytes))]), to: group)
}

private func close(_ code: Int64, _ reason: String) -> GroupEvent {
  GroupEvent(
    Event(
      type: "websocket.close",
      fields: [.init("code", .json(.integer(code))), .init("reason", .text(Array(reason.utf8)))]),
    to: "room")
}

struct GripRequestTests {
  /// Requests, the first as pubcontrol 3.5 writes it, and what is published.
  private static let requests: [(String, [GroupEvent])] = [
    (
      #"{"items": [{"ws-message": {"content": "h\u00e9"}, "channel": "room"}, {"id": "2", "prev-id": "1", "meta": {"user": "x"}, "http-stream": {"content": "x\n"}, "ws-message": {"content-bin": "AP8="}, "channel": "other"}]}"#,
      [event("hé"), bytes([0, 255], to: "other")]
    ), (#"{"items": []}"#, []),
    (items(#"{"channel": "room", "formats": {"ws-message": {"content": ""}}}"#), [event("")]),
    (
      items(#"{"channel": "room", "ws-message": {"action": "send", "type": "text", "content-bin": "aGk="}}"#),
      [event("hi")]
    ),
    (
      items(#"{"channel": "room", "ws-message": {"type": "binary", "content": "hi"}}"#),
      [bytes(Array("hi".utf8))]
    ), (items(#"{"channel": "room", "ws-message": {"action": "close"}}"#), [close(1000, "")]),
    (items(#"{"channel": "room", "ws-message": {"action": "close", "code": 0}}"#), [close(1000, "")]),
    (
      items(#"{"channel": "room", "ws-message": {"action": "close", "code": 4001, "reason": "bye"}}"#),
      [close(4001, "bye")]
    ), (items(#"{"channel": "room", "ws-message": {"action": "hint"}}"#), []),
    (items(#"{"channel": "room", "ws-message": {"content": "x", "content-filters": []}}"#), [event("x")]),
  ]

  @Test(arguments: requests.indices)
  func `messages are those that broadcast understands`(_ index: Int) throws {
    let request = try read(Self.requests[index].0).get()
    #expect(request.events.map(\.event) == Self.requests[index].1.map(\.event))
    #expect(request.events.map(\.group) == Self.requests[index].1.map(\.group))
    #expect(request.passedOver.isEmpty)
  }

  private static let passedOver: [(String, String)] = [
    (
      #"{"channel": "room", "http-stream": {"content": "x"}}"#,
      "an item has no \"ws-message\", and Sluice does not deliver \"http-stream\""
    ),
    (
      #"{"channel": "room", "formats": {"http-stream": {}, "http-response": {}}}"#,
      "an item has no \"ws-message\", and Sluice does not deliver \"http-response\", \"http-stream\""
    ),
    (
      #"{"channel": "room", "ws-message": {"content": "x", "content-filters": ["skip-self"]}}"#,
      "a message has \"content-filters\", and no subscription has"
    ),
    (
      #"{"channel": "room", "ws-message": {"type": "ping"}}"#,
      "a message is a ping or a pong, and Sluice sends its own"
    ),
  ]

  @Test(arguments: passedOver)
  func `what no session can get does not keep the others from theirs`(_ item: String, _ reason: String) throws
  {
    let request = try read(items(item, item, #"{"channel": "room", "ws-message": {"content": "x"}}"#)).get()
    #expect(request.events.map(\.event) == [event("x").event])
    #expect(request.passedOver == [reason])
  }

  private static let refusals: [(String, String)] = [
    ("", "400 the request is not JSON"), ("{}", "400 the request has no \"items\""),
    (#"{"items": {}}"#, "400 \"items\" in the request must be a list"), (items("1"), "400 item 1 is "),
    (items(#"{"ws-message": {"content": "x"}}"#), "400 item 1 needs a \"channel\""),
    (items(#"{"channel": 5, "ws-message": {}}"#), "400 \"channel\" in item 1 must be a string"),
    (items(#"{"channel": "a b", "ws-message": {}}"#), "400 \"a b\" is not a valid group name"),
    (items(#"{"channel": "sluice.control", "ws-message": {}}"#), "400 \"sluice.control\" is not a valid"),
    (
      items(#"{"channel": "no_entry", "ws-message": {"content": "x"}}"#),
      "403 this route may not publish to the group \"no_entry\""
    ), (items(#"{"channel": "room"}"#), "400 item 1 has no format"),
    (items(#"{"channel": "room", "formats": []}"#), "400 item 1 is "),
    (items(#"{"channel": "room", "ws-message": "x"}"#), "400 \"ws-message\" of item 1 is "),
    (
      items(#"{"channel": "room", "ws-message": {}}"#),
      "400 \"ws-message\" of item 1 needs a \"content\" or a \"content-bin\""
    ),
    (
      items(#"{"channel": "room", "ws-message": {"content-bin": "?"}}"#),
      "400 \"content-bin\" in \"ws-message\" of item 1 must be base64 (RFC 4648 section 4)"
    ),
    (
      items(#"{"channel": "room", "ws-message": {"type": "text", "content-bin": "/w=="}}"#),
      "400 \"content-bin\" in \"ws-message\" of item 1 is text that is not UTF-8"
    ),
    (
      items(#"{"channel": "room", "ws-message": {"type": "json", "content": "x"}}"#),
      "400 unknown type \"json\" in \"ws-message\" of item 1"
    ),
    (
      items(#"{"channel": "room", "ws-message": {"action": "clos"}}"#),
      "400 unknown action \"clos\" in \"ws-message\" of item 1: did you mean \"close\"?"
    ),
    (
      items(#"{"channel": "room", "ws-message": {"action": "close", "code": 1006}}"#),
      "400 \"code\" in \"ws-message\" of item 1 is not a close code that may be sent"
    ),
    (
      items(#"{"channel": "room", "ws-message": {"action": "close", "code": "x"}}"#),
      "400 \"code\" in \"ws-message\" of item 1 must be a number"
    ),
    (
      #"{"items": [\#(Array(repeating: "1", count: 1001).joined(separator: ","))]}"#,
      "413 a request can have at most 1000 items"
    ),
  ]

  @Test(arguments: refusals.indices)
  func `a request with a mistake publishes nothing`(_ index: Int) {
    guard case .failure(let refusal) = read(Self.refusals[index].0) else {
      Issue.record("read")
      return
    }
    let said = "\(refusal.row.answerStatus) \(refusal.row.text)"
    #expect(said.hasPrefix(Self.refusals[index].1), "\(said)")
  }
}

struct GripEndpointTests {
  private static let body = items(#"{"channel": "room", "ws-message": {"content": "hi"}}"#)

  private func token(_ secret: String = PublishScene.token, at now: Double = WallClock.secondsSinceEpoch)
    -> String
  {
    GripToken.make(Secret(secret), user: nil, at: now)
  }

  @Test func `a message reaches the sessions of its channel, and the answer is that of pushpin`() async throws
  {
    try await PublishScene.serving { scene in
      let member = scene.join("room", on: 1)
      scene.settle()
      let request = scene.ask(
        "POST", "grip/publish/", Self.body, fields: ["content-type": "text/plain"], token: token())
      scene.settle()
      #expect(request.answer == "200 Published\n")
      #expect(member.text == "broadcast.message ")
      let json = scene.ask(
        "POST", "grip/publish/", Self.body, fields: ["accept": "application/json;q=1"], token: token())
      scene.settle()
      #expect(json.answer == "200 {\"message\":\"Published\"}\n")
    }
  }

  @Test func `only who has the secret may publish, and only for a time`() async throws {
    try await PublishScene.serving { scene in
      let wrong: [(String?, String)] = [
        (token("another-secret-of-sixteen"), "the signature of the token is wrong"),
        (token(at: WallClock.secondsSinceEpoch - 3600), "the token has expired"),
        (PublishScene.token, "the token is not a JWT: it does not have three parts"),
        (nil, "a token is needed: send Authorization: Bearer TOKEN"),
      ]
      for (token, answer) in wrong {
        let request = scene.ask("POST", "grip/publish/", Self.body, token: token)
        #expect(request.answer == "401 {\"error\":\"\(answer)\"}\n")
        #expect(!request.hasReadBody)
      }
      let listing = scene.ask("GET", "grip/publish/groups", nil, token: token())
      #expect(listing.answer?.hasPrefix("403 ") == true)
    }
  }

  @Test func `what is passed over is told of, at a bounded rate`() async throws {
    try await PublishScene.serving { scene in
      let body = items(#"{"channel": "room", "http-stream": {"content": "hi"}}"#)
      for _ in 0..<3 {
        let request = scene.ask("POST", "grip/publish/", body, token: token())
        scene.settle()
        #expect(request.answer == "200 Published\n")
      }
      let lines = scene.lines("was passed over")
      #expect(lines.count == 1)
      #expect(lines.first?.contains("http-stream") == true)
    }
  }
}
