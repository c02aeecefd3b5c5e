import Consumers
import JSON
import Testing

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

@Suite struct IdentityTests {
  private let identity = Identity(
    user: "5",
    claims: .object([
      .init(key: "team", value: .string("red")), .init(key: "level", value: .integer(3)),
      .init(key: "staff", value: .bool(true)), .init(key: "teams", value: .array([.string("red")])),
    ]))

  @Test func fillsPlaces() {
    #expect(identity.value(of: "user") == "5")
    #expect(identity.value(of: "claims.team") == "red")
    #expect(identity.value(of: "claims.level") == "3")
    #expect(identity.value(of: "claims.staff") == "true")
    for place in ["claims.teams", "claims.absent", "team", "claims."] {
      #expect(identity.value(of: place) == nil, "\(place)")
    }
  }
}
