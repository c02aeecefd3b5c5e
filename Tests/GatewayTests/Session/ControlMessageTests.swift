import Testing

@testable import Gateway

@Suite struct ControlMessageTests {
  private func read(_ text: String) -> ControlMessage? {
    unsafe ControlMessage.read(Array(text.utf8).span.bytes)
  }

  @Test func readsWhatIsForTheGateway() {
    #expect(read(#"{"subscribe": "news"}"#) == .subscribe("news"))
    #expect(read(#" { "unsubscribe" : "news" } "#) == .unsubscribe("news"))
    #expect(read(#"{"presence": "list"}"#) == .presence("list"))
  }

  @Test(arguments: [
    #"{"message": "subscribe"}"#, #"{"subscribe": "a", "more": 1}"#, #"{"subscribe": 1}"#,
    #"{"subscribe": "a""#,
    #"{"subscribed": "a"}"#, "subscribe", "", "{", "{}", #"["subscribe"]"#,
    #"{"message": 1, "subscribe": "a"}"#,
  ])
  func everythingElseIsAMessage(_ text: String) {
    #expect(read(text) == nil)
  }

  @Test func aLongTextIsAMessage() {
    #expect(read(#"{"subscribe": "\#(String(repeating: "a", count: 20_000))"}"#) == nil)
  }
}
