import JSON
import Testing

@testable import Sessions

struct JSONQuestionTests {
  private static let attempt = ViewAttempt(number: 2, made: 1_700_000_001.5, time: 1_700_000_003)
  private static let start =
    #"{"version":1,"event":"EVENT","id":"f00d-1","attempt":2,"time":1700000001.5,"route":"ws/chat/<int:room>/","#
    + #""address":"sluice.abc!1","path":"/ws/chat/7/","query":"a=1","captures":{"room":"7"},"user":"anna","#
    + #""claims":{"role":"admin"},"groups":["chat_7"],"state":STATE"#

  private func text(_ question: ViewQuestion) -> String {
    String(decoding: JSONQuestion(question, Self.attempt).text, as: UTF8.self)
  }

  private func start(_ event: String, state: String = "null") -> String {
    Self.start.replacing("EVENT", with: event).replacing("STATE", with: state)
  }

  @Test func `connect names the client and what it offers`() {
    #expect(
      text(.connect) == start("connect") + #","subprotocols":["v1","v2"],"client":"192.0.2.7"}"#)
    let again = ViewQuestion.asking(.connect(.init(), isAgain: true))
    #expect(text(again) == start("connect") + #","subprotocols":[],"client":"192.0.2.7","again":true}"#)
  }

  @Test func `messages are numbered, as text or base64`() {
    #expect(
      text(.receive) == start("receive") + #","messages":[{"n":1,"text":"one"},{"n":2,"bytes":"AP8="}]}"#)
  }

  @Test func `text is escaped as JSON asks`() {
    let written = "say \"hi\" \\ there\n\u{1}, ü and \u{1F600}"
    let message = ViewQuestion.Message(number: 9, payload: .text(Array(written.utf8)))
    let expected = #"say \"hi\" \\ there\n\u0001, ü and 😀"#
    #expect(
      text(.asking(.receive([message]))) == start("receive")
        + ",\"messages\":[{\"n\":9,\"text\":\"\(expected)\"}]}"
    )
  }

  @Test func `an end has code, reason and duration`() {
    #expect(text(.disconnect) == start("disconnect") + #","code":1006,"reason":"","duration":2.5}"#)
    let presumed = SessionEnd(code: 1006, reason: "", duration: 1, isPresumed: true)
    #expect(
      text(.asking(.disconnect(presumed)))
        == start("disconnect") + #","code":1006,"reason":"","duration":1.0,"presumed":true}"#)
  }

  @Test func `a state is repeated as it was kept`() {
    let question = ViewQuestion.asking(.receive([]), .sample(state: Array(#"{"a":[1]}"#.utf8)))
    #expect(text(question) == start("receive", state: #"{"a":[1]}"#) + #","messages":[]}"#)
  }

  @Test func `nobody is null`() {
    #expect(
      text(.asking(.receive([]), .anonymous())).contains(
        #""query":"","captures":{},"user":null,"claims":null,"groups":[],"state":null,"messages":[]"#))
  }

  @Test func `questions about no session have none of its members`() {
    let head = #""id":"f00d-2","attempt":2,"time":1700000001.5,"route":"rpc/""#
    #expect(text(.check) == #"{"version":1,"event":"check","# + head + "}")
    let alive = ViewQuestion(
      id: "f00d-2",
      event: .alive(.init(addresses: ["a!1", "a!2"], part: 1, parts: 2, interval: 60)),
      place: .init(route: "rpc/", target: "/rpc/"))
    #expect(
      text(alive) == #"{"version":1,"event":"alive","# + head
        + #","addresses":["a!1","a!2"],"part":1,"parts":2,"interval":60.0}"#)
  }
}
