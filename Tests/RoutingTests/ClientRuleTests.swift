import Testing

@testable import Routing

struct ClientRuleTests {
  private let admin = ClientRule.claim("role", ["admin"])
  private let staff = ClientRule.claim("role", ["staff"])
  private let either = ClientRule.claim("role", ["admin", "staff"])
  private let owner = ClientRule.claim("owner", ["true"])
  private let own = ClientRule.other("rooms = {room}", route: "websocket 1")

  @Test func `rules lead to others that ask for less`() {
    #expect(([admin] as Set).imply(either))
    #expect(!([either] as Set).imply(admin))
    #expect(([admin] as Set).imply(.any([admin, owner])))
    #expect(([.any([admin, staff])] as Set).imply(either))
    #expect(!([.any([admin, owner])] as Set).imply(either))
    #expect(([.any([.all([admin, owner]), .all([staff, owner])])] as Set).imply(owner))
    #expect(([.any([admin, owner])] as Set).imply(.any([owner, staff, admin])))
    #expect(([admin, owner] as Set).imply(.all([either, owner])))
    #expect(!([admin] as Set).imply(.all([either, owner])))
    #expect(!([] as Set<ClientRule>).imply(admin))
  }

  @Test func `what depends on the path is the same on one route only`() {
    #expect(([own] as Set).imply(own))
    #expect(!([own] as Set).imply(.other("rooms = {room}", route: "websocket 2")))
  }

  @Test func `clients are within others that have to fulfil less`() {
    let all = AdmittedClients.authenticated(by: "jwt")
    let some = AdmittedClients.authenticated(by: "jwt", require: ["role": ["admin"]], also: [own])
    #expect(some.isWithin(all) && !all.isWithin(some))
    #expect(some.isWithin(.authenticated(by: "jwt", also: [.any([either, owner])])))
    #expect(!some.isWithin(.authenticated(by: "another")))
  }
}
