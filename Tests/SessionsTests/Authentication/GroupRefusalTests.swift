import Consumers
import JSON
import Routing
import Testing
import WebSocketCore

@testable import GatewayConfig
@testable import Sessions

struct GroupRefusalTests {
  private func group(_ templates: [String]) throws -> GroupConfiguration {
    GroupConfiguration(
      templates: try templates.map { try GroupPattern.parse(template: $0).get().withUser }, events: [:])
  }

  /// The groups of a client, or why the log says that it has none; of a 403, or of a 503.
  private func outcome(
    _ group: GroupConfiguration, user: String = "5", _ claims: [JSON.Member] = [], given: [String] = []
  ) throws -> String {
    let identity = Identity(user: user, claims: .object(claims), groups: given)
    switch group.names(for: Captures(), given: given, value: identity.values) {
    case .success(let names): return names.joined(separator: " ")
    case .failure(let fault):
      let refusal = group.refusal(for: Captures(), identity, fault)
      return "\(refusal.status) \(refusal.detail ?? "")"
    }
  }

  private func list(_ elements: JSON...) -> [JSON.Member] { [.init(key: "rooms", value: .array(elements))] }

  @Test(.bug(id: "list-in-a-group"))
  func `the log says which claim leads to no group, and why`() throws {
    let group = try group(["room_{claims.rooms}"])
    #expect(
      try outcome(group, list(.string("a")))
        == #"403 the claim "rooms" is a list, and {claims.rooms} in "group" needs one text or number: messages of clients go to this group"#
    )
    #expect(try outcome(group).hasPrefix(#"403 the claim "rooms" is missing"#))
    #expect(try outcome(group, [.init(key: "rooms", value: .object([]))]).contains("is an object"))
  }

  @Test func `the log says which character no group can have, and nothing else of a token`() throws {
    let group = try group(["user_{user}"])
    #expect(
      try outcome(group, user: "a b")
        == "403 {user} has the character a space, which no group name can have: write {user|escaped} for any text"
    )
    #expect(try outcome(group, user: "ann@example.com").contains(#"has the character "@", which"#))
    #expect(try outcome(group, user: "josé").contains(#"has the character "é", which"#))
    #expect(
      try outcome(group, user: String(repeating: "a", count: 95))
        == "403 the group name would have 100 characters, and at most 99 are possible")
    #expect(
      try outcome(try self.group(["{user}"]), user: "sluice.x").contains("which is reserved for Sluice"))
  }

  @Test func `too many groups are a reason of their own`() throws {
    let group = try group(["news", "room_{claims.rooms}"])
    func text(_ elements: [JSON]) throws -> String {
      let identity = Identity(user: "5", claims: .object([.init(key: "rooms", value: .array(elements))]))
      guard case .failure(let fault) = group.names(for: Captures(), value: identity.values) else { return "" }
      return group.refusal(for: Captures(), identity, fault).text
    }
    for count in [256, 257] {
      #expect(
        try text((0..<count).map { JSON.integer(Int64($0)) }) == "this user would be in too many groups")
    }
    #expect(try text([.string("a b")]) == "no valid group name can be made for this user")
  }

  @Test func `an escaped place takes any text that is short enough`() throws {
    let group = try group(["user_{user|escaped}"])
    #expect(try outcome(group, user: "ann@example.com") == "user_ann.40example.2Ecom")
    #expect(try outcome(group, user: "auth0|64b0c7") == "user_auth0.7C64b0c7")
    #expect(try outcome(group, user: "user_5-A") == "user_user_5-A")
    #expect(try outcome(group, user: String(repeating: "é", count: 16)).contains("would have 101 characters"))
  }

  @Test func `a list makes one group of each element`() throws {
    var group = try group(["news", "room_{claims.rooms}"])
    #expect(try outcome(group, list(.string("a"), .integer(7), .string("a"))) == "news room_a room_7")
    #expect(try outcome(group, list()) == "news")
    #expect(try outcome(group, [.init(key: "rooms", value: .string("a"))]) == "news room_a")
    #expect(
      try outcome(group, list(.string("a"), .null))
        == #"403 an element of the list "rooms" is null, and {claims.rooms} needs texts or whole numbers"#)
    #expect(try outcome(group, list(.string(""))).contains(#"an element of the list "rooms" is empty"#))
    #expect(try outcome(group, list(.string("a/b"))).contains(#"has the character "/""#))
    let many = (0..<257).map { JSON.integer($0) }
    #expect(
      try outcome(group, [.init(key: "rooms", value: .array(many))])
        == #"403 the list "rooms" has 257 elements, and at most 256 are possible"#)
    #expect(
      try outcome(group, [.init(key: "rooms", value: .array(Array(many.dropLast())))])
        == "403 the client would be in 257 groups, and at most 256 are possible")
    group = try self.group(["{claims.rooms}_{claims.rooms}", "x_{user}_{claims.rooms}"])
    group.takesMessages = false
    #expect(try outcome(group, list(.string("a"), .string("b"))) == "a_a b_b x_5_a x_5_b")
  }

  @Test func `what a list cannot be`() throws {
    var group = try group(["room_{claims.rooms}"])
    group.takesMessages = false
    #expect(try outcome(group, list(.string("a"), .string("b"))) == "room_a room_b")
    #expect(try outcome(group, list()) == "403 the lists that name the client's groups are empty")
    group.history = HistoryConfiguration(messages: 1)
    #expect(try outcome(group, list(.string("a"))).hasSuffix("this group has a history"))
    let two = try self.group(["news", "{claims.rooms}_{claims.teams}"])
    let claims = list(.string("a")) + [.init(key: "teams", value: .array([.string("b")]))]
    #expect(
      try outcome(two, claims)
        == #"403 the claims "rooms" and "teams" are lists, and one group name takes one list"#)
  }

  @Test func `a list in a pattern of subscribe is checked at once`() throws {
    var group = try group(["news"])
    group.subscribe = [try GroupPattern.parse("room_{claims.rooms}_*").get()]
    let client = Identity(user: "5", claims: .object(list(.string("a"), .integer(7))))
    #expect(group.subscribe[0].matchesAny("room_7_x", captures: Captures(), identity: client.values))
    #expect(!group.subscribe[0].matchesAny("room_8_x", captures: Captures(), identity: client.values))
    #expect(try outcome(group, list(.string("a b"))).contains("has the character a space"))
    #expect(try outcome(group, list(.string("a"))) == "news")
  }

  @Test func `groups that a view names have to be admitted`() throws {
    var group = try group(["news"])
    // Other views name groups of Django's own.
    #expect(try outcome(group, given: ["Editors"]) == "news")
    group.fromView = GroupsFromView([
      try GroupPattern.parse(fromView: "drivers").get(),
      try GroupPattern.parse(fromView: "room_<int:id>").get(),
    ])
    #expect(try outcome(group, given: ["room_1", "drivers", "room_1"]) == "news room_1 drivers")
    #expect(
      try outcome(group, given: ["room_1", "room_x"])
        == #"503 the answer of the view names the group "room_x", which is not among those of "groups_from_view": drivers, room_<int:id>"#
    )
    for name in ["room_01", "room_", "sluice.drivers", "drivers2", ""] {
      #expect(try outcome(group, given: [name]).hasPrefix("503"), "\(name)")
    }
  }
}
