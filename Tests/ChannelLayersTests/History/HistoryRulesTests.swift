import Routing
import Testing

@testable import ChannelLayers
@testable import GatewayConfig

struct HistoryRulesTests {
  private func template(_ text: String) throws -> GroupPattern {
    try GroupPattern.parse(template: text).get()
  }

  @Test func `where two rules fit, the larger of each limit holds`() throws {
    var rules = HistoryRules()
    rules.add(try template("chat_{room}"), HistoryConfiguration(messages: 10, age: .seconds(100)))
    rules.add(try template("{any}"), HistoryConfiguration(messages: 20, age: .seconds(50)))
    #expect(rules.limits(of: "chat_a") == HistoryConfiguration(messages: 20, age: .seconds(100)))
    #expect(rules.limits(of: "other") == HistoryConfiguration(messages: 20, age: .seconds(50)))
    #expect(HistoryRules().limits(of: "chat_a") == nil)
  }
}

struct EventPositionTests {
  @Test func `a position is read as it is written`() {
    let position = EventPosition(epoch: 0xAB, offset: 7)
    #expect(position.description == "ab.7")
    #expect(EventPosition("ab.7") == position)
    for text in ["+b.7", "-0.7", "ab.+7", "ab", "ab.", ".7", "g.7", "123456789.7"] {
      #expect(EventPosition(text) == nil, "\(text)")
    }
  }
}
