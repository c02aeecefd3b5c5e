import Consumers
import JSON
import Routing
import Testing

struct IdentityTests {
  private let identity = Identity(
    user: "5",
    claims: .object([
      .init(key: "team", value: .string("red")), .init(key: "level", value: .integer(3)),
      .init(key: "staff", value: .bool(true)), .init(key: "teams", value: .array([.string("red")])),
      .init(key: "realm", value: .object([.init(key: "roles", value: .array([.string("chat")]))])),
      .init(key: "realm.name", value: .string("own")), .init(key: "https://a.b/c", value: .string("d")),
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

  @Test func `a place may name a claim inside another one, and a claim with dots in its name`() {
    #expect(identity.values(of: "claims.realm.roles") == .list(["chat"]))
    #expect(identity.value(of: "claims.realm.name") == "own")
    #expect(identity.value(of: "claims.https://a.b/c") == "d")
    #expect(identity.value(of: "claims.realm.none") == nil)
    #expect(identity.value(of: "claims.team.none") == nil)
  }

  @Test func `a list has the values of its elements, and none if one is no name`() {
    #expect(identity.values(of: "user") == .one("5"))
    #expect(identity.values(of: "claims.teams") == .list(["red"]))
    #expect(identity.values(of: "claims.absent") == nil)
    let odd = Identity(
      user: "5", claims: .object([.init(key: "teams", value: .array([.string("red"), .double(1.5)]))]))
    #expect(odd.values(of: "claims.teams") == nil)
  }
}
