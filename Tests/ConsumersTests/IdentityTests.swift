import Consumers
import JSON
import Testing

struct IdentityTests {
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
