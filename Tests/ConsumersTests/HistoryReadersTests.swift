import ChannelLayers
import JSON
import Routing
import Testing

@testable import Consumers
@testable import GatewayConfig

/// Who may read a history without a session.
struct HistoryReadersTests {
  private static func group(
    _ ways: [String], subscribe: [String] = [], _ rules: [String: DeliveryRule]
  ) throws -> GroupConfiguration {
    var group = GroupConfiguration(
      templates: try ways.map { try GroupPattern.parse(template: $0).get() }, events: [:])
    group.subscribe = try subscribe.map { try GroupPattern.parse($0).get() }
    group.deliveries = rules
    return group
  }

  private static func toUser(in field: String) -> DeliveryRule {
    DeliveryRule(recipients: .user(TextTemplate(parts: [.place(field)])))
  }

  private static func event(_ fields: [String: JSON], of type: String = "status.update") -> Event {
    Event(type: type, fields: fields.map { .init($0.key, .json($0.value)) })
  }

  /// Who of ada, bob and somebody without a name may read the event.
  private static func readers(_ readers: HistoryReaders, _ event: Event) -> [String] {
    [("ada", "ada"), ("bob", "bob"), ("nobody", nil)].filter { readers.include($0.1, for: event) }.map(\.0)
  }

  @Test func `what a route delivers to one user is read by this user only`() throws {
    let route = try Self.group(["board_{board}"], ["status.update": Self.toUser(in: "owner")])
    let readers = HistoryReaders([route]).of("board_7")
    let all = ["ada", "bob", "nobody"]
    #expect(Self.readers(readers, Self.event(["owner": "ada"])) == ["ada"])
    #expect(Self.readers(readers, Self.event(["owner": "ada"], of: "status_update")) == ["ada"])
    #expect(Self.readers(readers, Self.event(["owner": "ada"], of: "other")) == all)
    // Nobody is called nothing, and what is marked for somebody else is for neither of the two.
    #expect(Self.readers(readers, Self.event([:])) == [])
    let marked = Self.event(["owner": "ada"]).addressed(to: EventRecipients(user: "bob"))
    #expect(Self.readers(readers, marked) == [])
    // The rule is of another group.
    #expect(Self.readers(HistoryReaders([route]).of("news"), Self.event(["owner": "ada"])) == all)
  }

  @Test func `the rules of all routes hold that lead to the group`() throws {
    let routes = [
      try Self.group(["news"], [:]),
      try Self.group([], subscribe: ["board_*"], ["status.update": Self.toUser(in: "owner")]),
      try Self.group(["board_7"], ["status.update": Self.toUser(in: "editor")]),
    ]
    let event = Self.event(["owner": "ada", "editor": "bob"])
    #expect(Self.readers(HistoryReaders(routes).of("board_7"), event) == [])
    #expect(Self.readers(HistoryReaders(routes).of("board_8"), event) == ["ada"])
    #expect(
      Self.readers(HistoryReaders(routes).of("board_7"), Self.event(["owner": "ada", "editor": "ada"])) == [
        "ada"
      ])
  }

  @Test func `addresses hide nothing from who has none, and too many hide all`() throws {
    let routes = try (0..<2).map { _ in try Self.group(["g"], ["cursor": DeliveryRule(recipients: .others)]) }
    let readers = HistoryReaders(routes).of("g")
    func event(_ count: Int) -> Event {
      Self.event(["except": .array((0..<count).map { .string("specific.x!\($0)") })], of: "cursor")
    }
    #expect(Self.readers(readers, event(EventRecipients.mostAddresses)).count == 3)
    #expect(Self.readers(readers, event(EventRecipients.mostAddresses + 1)).isEmpty)
  }
}
