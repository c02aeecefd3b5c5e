import ChannelLayers
import Routing
import Testing

@testable import Gateway
@testable import GatewayConfig

struct KnownTypesTests {
  private func template(_ text: String) throws -> GroupPattern {
    try GroupPattern.parse(template: text).get()
  }

  private func types() throws -> KnownTypes {
    KnownTypes([
      GroupConfiguration(
        templates: [try template("chat_{room}"), try template("user_{user}")],
        subscribe: [try GroupPattern.parse("ticker_{user}_*").get()], events: ["order.paid": .wholeEvent]),
      GroupConfiguration(templates: [try template("chat_lobby")], events: ["tick": .wholeEvent]),
    ])
  }

  @Test(
    arguments: [
      ("chat_a", "chat.mesage", "chat.message"), ("chat_a", "chat_message", nil),
      ("chat_a", "order_paid", nil), ("chat_a", "order.payed", "order.paid"), ("chat_a", "tick", ""),
      ("chat_lobby", "tick", nil), ("user_5", "order.payed", "order.paid"),
      ("ticker_5_x", "order.payed", "order.paid"), ("chat_a", "websocket.close", nil),
      // No client can join the group here, so it belongs to other programs.
      ("orders", "order.payed", nil),
    ] as [(String, String, String?)])
  func `a type that no route delivers to the group is unknown`(
    _ group: String, _ type: String, _ nearest: String?
  ) throws {
    let expected = nearest.map { KnownTypes.Unknown(type: type, nearest: $0.isEmpty ? nil : $0) }
    #expect(try types().unknown(Event(type: type), to: group) == expected)
  }
}
