import GatewayConfig
import Routing
import Testing

@testable import ChannelLayers

struct HistoryRulesTests {
  private func template(_ text: String) throws -> GroupTemplate { try GroupTemplate.parse(text).get() }

  @Test(arguments: [
    ("news", "news", true), ("news", "newsy", false), ("chat_{room}", "chat_a", true),
    ("chat_{room}", "chat_", false), ("chat_{room}", "xchat_a", false), ("{a}_{b}", "x_y_z", true),
    ("{a}_{b}", "_y", false), ("{a}.log", "a.log.log", true), ("{a}", "é", false), ("a{x}a", "aa", false),
    ("a{x}a", "aaa", true), ("{a}{b}", "x", false), ("{a}{b}", "xy", true),
  ])
  func `a name keeps a history where the template can make it`(
    _ text: String, _ name: String, _ fits: Bool
  ) throws {
    #expect(try template(text).canProduce(name) == fits)
  }

  @Test func `where two rules fit, the larger of each limit holds`() throws {
    var rules = HistoryRules()
    rules.add(try template("chat_{room}"), HistoryConfiguration(messages: 10, age: .seconds(100)))
    rules.add(try template("{any}"), HistoryConfiguration(messages: 20, age: .seconds(50)))
    #expect(rules.limits(of: "chat_a") == HistoryConfiguration(messages: 20, age: .seconds(100)))
    #expect(rules.limits(of: "other") == HistoryConfiguration(messages: 20, age: .seconds(50)))
    #expect(HistoryRules().limits(of: "chat_a") == nil)
  }

  @Test func `a name is decided quickly however it is made`() throws {
    let many = try template(Array(repeating: "{a}", count: 40).joined() + "-")
    #expect(!many.canProduce(String(repeating: "a", count: 99)))
  }
}
