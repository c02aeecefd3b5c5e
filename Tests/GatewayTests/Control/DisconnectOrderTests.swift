import ChannelLayers
import JSON
import Testing

@testable import Gateway

struct DisconnectOrderTests {
  private func event(_ fields: (String, EventValue)..., type: String = "sluice.disconnect") -> Event {
    Event(type: type, fields: fields.map { Event.Field($0.0, $0.1) })
  }

  @Test func `an order comes as text, or as the number that Django has for a user`() {
    let named = DisconnectOrder(event(("user", .json(.string("ann"))), ("reason", .json(.string("bye")))))
    #expect(named == DisconnectOrder(user: "ann", reason: "bye"))
    #expect(DisconnectOrder(event(("user", .json(.integer(5))))) == DisconnectOrder(user: "5"))
    #expect(
      DisconnectOrder(event(("user", .json(.integer(5))), type: "sluice_disconnect"))
        == DisconnectOrder(user: "5"))
    let order = DisconnectOrder(user: "5", reason: "x")
    #expect(DisconnectOrder(order.event) == order)
  }

  @Test func `what is no order is none`() {
    #expect(DisconnectOrder(event(("user", .json(.integer(5))), type: "chat.message")) == nil)
    #expect(DisconnectOrder(event()) == nil)
    #expect(DisconnectOrder(event(("user", .json(.null)))) == nil)
    #expect(DisconnectOrder(event(("user", .json(.array([]))))) == nil)
    #expect(DisconnectOrder(event(("user", .bytes([1])))) == nil)
  }

  @Test func `a reason fits into a close frame`() {
    let long = String(repeating: "é", count: 100)
    let order = DisconnectOrder(event(("user", .json(.integer(5))), ("reason", .json(.string(long)))))
    #expect(order?.reason == String(repeating: "é", count: 61))
  }

  @Test func `a line is the same order`() {
    let order = DisconnectOrder(user: "a\nb\"é", reason: "x\ny")
    #expect(order.line.filter { $0 == UInt8(ascii: "\n") }.count == 1)
    #expect(DisconnectOrder(line: Array(order.line.dropLast())) == order)
    #expect(DisconnectOrder(line: Array("{}".utf8)) == nil)
  }

  @Test func `in a request nothing is left out or too much`() throws {
    func read(_ text: String) throws(PublishRefusal) -> DisconnectOrder {
      try DisconnectOrder(body: Array(text.utf8))
    }
    #expect(try read(#"{"user": "5"}"#) == DisconnectOrder(user: "5"))
    #expect(try read(#"{"user": 5, "reason": "x"}"#) == DisconnectOrder(user: "5", reason: "x"))
    let faulty = [
      "{}", #"{"user": ""}"#, #"{"user": 1.5}"#, #"{"user": "5", "resaon": "x"}"#, #"{"user": null}"#,
      "{\"user\": \"5\", \"reason\": \"\(String(repeating: "x", count: 124))\"}",
    ]
    for text in faulty { #expect(throws: PublishRefusal.self) { try read(text) } }
  }
}
