import Consumers
import JSON
import Routing
import Testing
import WebSocketCore

@testable import GatewayConfig
@testable import Sessions

struct GroupRefusalTests {
  private func detail(_ template: String, _ claims: [JSON.Member]) throws -> String? {
    let group = GroupConfiguration(
      templates: [try GroupPattern.parse(template: template).get().withUser], events: [:])
    let refusal = group.refusal(for: Captures(), Identity(user: "a b", claims: .object(claims)))
    #expect(refusal.status == 403)
    return refusal.detail
  }

  @Test(.bug(id: "list-in-a-group"))
  func `the log says which claim leads to no group, and why`() throws {
    let list = JSON.Member(key: "rooms", value: .array([.string("a")]))
    #expect(
      try detail("room_{claims.rooms}", [list])
        == #"the claim "rooms" is a list, and {claims.rooms} in "group" needs one text or number"#)
    #expect(try detail("room_{claims.rooms}", [])?.hasPrefix(#"the claim "rooms" is missing"#) == true)
    #expect(
      try detail("x_{claims.o}", [.init(key: "o", value: .object([]))])?.contains("is an object") == true)
  }

  @Test func `the log does not repeat what stands in a token`() throws {
    let detail = try detail("user_{user}", [])
    #expect(detail == "a value of {user} is not valid in a group name")
  }
}
