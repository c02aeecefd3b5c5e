import Testing

@testable import Sessions

struct ControlMessageTests {
  private func read(_ text: String) -> ControlMessage? {
    unsafe ControlMessage.read(Array(text.utf8).span.bytes)
  }

  @Test func `what is for the gateway is read`() {
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
  func `everything else is a message`(_ text: String) {
    #expect(read(text) == nil)
  }

  @Test func `a long text is a message`() {
    #expect(read(#"{"subscribe": "\#(String(repeating: "a", count: 20_000))"}"#) == nil)
  }
}
