import Sessions
import Testing

@testable import Gateway

struct PublishAccessTests {
  @Test(arguments: ["secret", "secre", "secrets", "", "Secret", "secretsecret"])
  func `only the token itself is equal to it`(_ sent: String) {
    #expect(PublishAccess.isEqual(Array(sent.utf8), Array("secret".utf8)) == (sent == "secret"))
  }

  @Test func `nothing is equal to no token`() {
    #expect(!PublishAccess.isEqual([], []))
  }
}

struct RequestQueryTests {
  @Test func `values are decoded, and what nobody asks for is said`() throws {
    var query = try RequestQuery("prefix=a%20b+c&limit=7&x=")
    #expect(query.value("prefix") == "a b c")
    #expect(try query.integer("limit", in: 1...10) == 7)
    #expect(throws: PublishRefusal.self) { try query.finish() }
    #expect(query.value("x") == "")
    try query.finish()
  }

  @Test(arguments: ["a=%zz", "a=%f", "a=%ff", "a=1&a=2", "a=%+f", "%-0=1"])
  func `what cannot be read is refused`(_ text: String) {
    #expect(throws: PublishRefusal.self) { try RequestQuery(text) }
  }
}
