import ChannelLayers
import JSON
import Testing
import WebSocketCore

@testable import Sessions

struct JSONViewAnswerTests {
  private func read(_ text: String, to question: ViewQuestion = .receive) throws(AnswerFault) -> ViewAnswer {
    try JSONViewAnswer(to: question).read(Array(text.utf8))
  }

  private func actions(_ text: String, to question: ViewQuestion = .receive) throws -> [ViewAnswer.Action] {
    try read("{\"do\": [\(text)]}", to: question).actions
  }

  /// What is wrong; nil if nothing is.
  private func fault(_ text: String, of question: ViewQuestion) -> String? {
    do throws(AnswerFault) {
      _ = try read(text, to: question)
      return nil
    } catch {
      return error.reason
    }
  }

  private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test func `actions are read in their order`() throws {
    let text =
      #"{"publish": {"group": "g", "message": {"a": 1}}}, {"join": "g"}, {"leave": "h"}, {"close": true}"#
    #expect(
      try actions(text) == [
        .publish(
          .init(
            group: "g",
            event: Event(
              type: "chat.message",
              fields: [
                .init("message", .encodedJSON(Self.bytes(#"{"a": 1}"#)))
              ]))),
        .join("g"), .leave("h"), .close(code: 1000, reason: ""),
      ])
  }

  @Test func `an answer has at most a thousand actions`() throws {
    let action = #"{"send": {"text": "x"}}"#
    let most = [String](repeating: action, count: ViewAnswer.mostActions)
    #expect(try actions(most.joined(separator: ",")).count == 1000)
    let more = "{\"do\": [" + (most + [action]).joined(separator: ",") + "]}"
    #expect(fault(more, of: .receive)?.contains("1001 actions, and at most 1000") == true)
  }

  @Test func `of a session that is open an answer to connect says nothing new`() throws {
    let again = ViewQuestion.asking(.connect(.init(), isAgain: true))
    let text = #"{"subprotocol": "other", "user": "eve", "claims": {"role": "root"}, "state": 1}"#
    let answer = try read(text, to: again)
    #expect(answer.user == nil && answer.claims == nil && answer.subprotocol == nil)
    #expect(answer.state == Self.bytes("1"))
  }

  @Test func `an answer may be empty`() throws {
    #expect(try read("{}") == ViewAnswer())
    #expect(try read(#" {"do": []} "#) == ViewAnswer())
  }

  @Test(arguments: [
    (#"{"send": {"json": {"b" :1}}}"#, ViewAnswer.Action.send(.text, bytes(#"{"b" :1}"#))),
    (#"{"send": {"json": null}}"#, .send(.text, bytes("null"))),
    (#"{"send": {"text": "a\u0041"}}"#, .send(.text, bytes("aA"))),
    (#"{"send": {"bytes": "AP8="}}"#, .send(.binary, [0, 255])),
    (#"{"close": {}}"#, .close(code: 1000, reason: "")),
    (#"{"close": {"code": 4001, "reason": "later"}}"#, .close(code: 4001, reason: "later")),
  ])
  func `an action is read`(_ text: String, _ action: ViewAnswer.Action) throws {
    #expect(try actions(text) == [action])
  }

  @Test(arguments: [
    (#""text": "t""#, Event(type: "broadcast.message", fields: [.init("text", .text(bytes("t")))])),
    (#""bytes": "AP8=""#, Event(type: "broadcast.message", fields: [.init("bytes", .bytes([0, 255]))])),
    (
      #""event": {"type": "job.done", "job": 7, "name": "x"}"#,
      Event(type: "job.done", fields: [.init("job", .json(.integer(7))), .init("name", .text(bytes("x")))])
    ),
  ])
  func `what is published is as in the publish API`(_ content: String, _ event: Event) throws {
    #expect(
      try actions("{\"publish\": {\"group\": \"g\", \(content)}}")
        == [.publish(.init(group: "g", event: event))])
  }

  @Test(arguments: [
    (#""to": "others""#, ViewAnswer.Publication.Recipients.others, false),
    (#""to": {"user": "anna"}, "ephemeral": true"#, .user("anna"), true),
    (#""to": {"user": 7}, "ephemeral": false"#, .user("7"), false),
  ])
  func `recipients are read`(
    _ more: String, _ recipients: ViewAnswer.Publication.Recipients, _ isEphemeral: Bool
  ) throws {
    let event = Event(type: "broadcast.message", fields: [.init("text", .text(Self.bytes("t")))])
    #expect(
      try actions("{\"publish\": {\"group\": \"g\", \"text\": \"t\", \(more)}}") == [
        .publish(.init(group: "g", event: event, recipients: recipients, isEphemeral: isEphemeral))
      ])
  }

  @Test func `a state is kept as compact text, and null clears it`() throws {
    #expect(try read(#"{"state": {"a" : [1, 2]}}"#).state == Self.bytes(#"{"a":[1,2]}"#))
    #expect(try read(#"{"state": null}"#).state == Self.bytes("null"))
    #expect(try read("{}").state == nil)
    #expect(try read("{\"state\": \"\(String(repeating: "x", count: 4094))\"}").state?.count == 4096)
  }

  @Test func `connect names who it is`() throws {
    let answer = try read(
      #"{"user": 7, "claims": {"a": 1}, "subprotocol": "v2"}"#, to: .connect)
    #expect((answer.user, answer.subprotocol) == ("7", "v2"))
    #expect(answer.claims == ["a": .integer(1)])
    #expect(try read(#"{"user": null, "claims": null, "subprotocol": null}"#, to: .connect) == ViewAnswer())
  }

  @Test func `taken counts messages`() throws {
    #expect(try read(#"{"taken": 0}"#).taken == 0)
    #expect(try read(#"{"taken": 2}"#).taken == 2)
  }

  @Test func `a disconnect may publish, and keep a state that nobody reads`() throws {
    #expect(try actions(#"{"publish": {"group": "g", "text": ""}}"#, to: .disconnect).count == 1)
    #expect(try read(#"{"state": 1}"#, to: .disconnect).actions == [])
  }

  @Test(arguments: [
    ("[]", ViewQuestion.receive, "the answer is a list, not an object, at byte 0"),
    (#"{"do" []}"#, .receive, "the answer is not JSON: a colon is missing at byte 6"),
    (#"{"does": []}"#, .receive, #"unknown member "does" in the answer: known here: do, state, taken"#),
    (#"{"do": {}}"#, .receive, #""do" in the answer must be a list"#),
    (#"{"do": [1]}"#, .receive, #"item 1 of "do" is a number, not an object, at byte 0"#),
    (
      #"{"do": [{"join": "a"}, {"jion": "b"}]}"#, .receive,
      #"unknown member "jion" in item 2 of "do": did you mean "join"?"#
    ),
    (
      #"{"do": [{}]}"#, .receive, #"item 1 of "do" needs one of "join", "leave", "send", "publish", "close""#
    ),
    (
      #"{"do": [{"join": "a", "leave": "b"}]}"#, .receive,
      #"item 1 of "do" can have "join" or "leave", not both"#
    ),
    (#"{"do": [{"join": 7}]}"#, .receive, #""join" in item 1 of "do" must be a string"#),
    (#"{"do": [{"join": ""}]}"#, .receive, #""join" in item 1 of "do" is empty"#),
    (
      #"{"do": [{"send": "hi"}]}"#, .receive,
      #""send" in item 1 of "do" is a string, not an object, at byte 0"#
    ),
    (
      #"{"do": [{"send": {"text": "a", "json": 1}}]}"#, .receive,
      #""send" in item 1 of "do" can have "json" or "text", not both"#
    ),
    (#"{"do": [{"send": {}}]}"#, .receive, #""send" in item 1 of "do" needs "json", "text" or "bytes""#),
    (
      #"{"do": [{"publish": {"message": 1}}]}"#, .receive, #""publish" in item 1 of "do" needs a "group""#
    ),
    (
      #"{"do": [{"publish": {"group": "g"}}]}"#, .receive,
      #""publish" in item 1 of "do" needs an "event", or a "message", "text" or "bytes""#
    ),
    (
      #"{"do": [{"publish": {"group": "g", "text": "", "to": "all"}}]}"#, .receive,
      #""to" in "publish" in item 1 of "do" must be "others", or {"user": NAME}"#
    ),
    (
      #"{"do": [{"publish": {"group": "g", "event": {"type": "sluice.x"}}}]}"#, .receive,
      #""sluice.x" is reserved: event types that begin with "sluice." are Sluice's own"#
    ),
    (
      #"{"do": [{"close": {"code": 1001}}]}"#, .receive,
      #""code" in "close" in item 1 of "do" must be 1000, or 3000 to 4999"#
    ),
    (#"{"taken": 3}"#, .receive, #""taken" in the answer must be a number from 0 to 2"#),
    (#"{"taken": 1}"#, .connect, #"the answer to "connect" cannot have "taken""#),
    (#"{"user": "x"}"#, .receive, #"the answer to "receive" cannot have "user""#),
    (#"{"user": ""}"#, .connect, #""user" in the answer must be a name of 1 to 255 bytes, or a number"#),
    (#"{"claims": []}"#, .connect, #""claims" in the answer must be an object"#),
    (
      #"{"subprotocol": "v3"}"#, .connect,
      #""subprotocol" in the answer must be one of those that the client offers"#
    ),
    (
      #"{"do": [{"send": {"text": "bye"}}]}"#, .disconnect,
      #""send" in item 1 of "do" is not possible in an answer to "disconnect""#
    ),
    (
      #"{"do": [{"publish": {"group": "g", "text": ""}}]}"#, .check,
      #""publish" in item 1 of "do" is not possible in an answer to "check""#
    ),
  ])
  func `what is malformed is named`(_ text: String, _ question: ViewQuestion, _ reason: String) {
    #expect(fault(text, of: question) == reason)
  }

  @Test func `a state may not be longer than 4 KiB`() {
    let text = "{\"state\": \"\(String(repeating: "x", count: 4095))\"}"
    #expect(
      fault(text, of: .receive)
        == "the \"state\" of the answer has 4097 bytes, and at most 4096 are possible")
  }
}
