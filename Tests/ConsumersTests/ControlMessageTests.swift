import Consumers
import JSON
import Testing

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

struct IdentityTests {
  private let identity = Identity(
    user: "5",
    claims: .object([
      .init(key: "team", value: .string("red")), .init(key: "level", value: .integer(3)),
      .init(key: "staff", value: .bool(true)), .init(key: "teams", value: .array([.string("red")])),
    ]))

  @Test func `places are filled`() {
    #expect(identity.value(of: "user") == "5")
    #expect(identity.value(of: "claims.team") == "red")
    #expect(identity.value(of: "claims.level") == "3")
    #expect(identity.value(of: "claims.staff") == "true")
    for place in ["claims.teams", "claims.absent", "team", "claims."] {
      #expect(identity.value(of: place) == nil, "\(place)")
    }
  }
}
