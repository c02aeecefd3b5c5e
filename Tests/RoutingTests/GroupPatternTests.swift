import Routing
import Testing

struct GroupPatternTests {
  private func pattern(_ text: String) throws -> GroupPattern { try GroupPattern.parse(text).get() }

  @Test(arguments: [
    ("news", "news", true), ("news", "newss", false), ("news", "new", false),
    ("ticker_*", "ticker_", true), ("ticker_*", "ticker_A.B-c", true), ("ticker_*", "tickers", false),
    ("*", "anything", true), ("*_eur", "usd_eur", true), ("*_eur", "_eur", true), ("*_eur", "eur", false),
    ("a*b*c", "abc", true), ("a*b*c", "aXbYbZc", true), ("a*b*c", "acb", false), ("a*a", "a", false),
    ("**", "x", true), ("a*ab*b", "aabb", true), ("a*ab*b", "aab", false),
    ("*", "sluice.control", false), ("*", "white space", false),
    ("*", String(repeating: "a", count: 100), false),
  ])
  func `a pattern means the groups that its text says`(_ text: String, _ group: String, _ isMeant: Bool)
    throws
  {
    #expect(try pattern(text).matches(group) == isMeant)
  }

  @Test func `a pattern fills its places`() throws {
    let pattern = try pattern("{room}_{claims.team}_*").withUser
    let captures = Captures([.init(name: "room", value: "a")])
    let identity = ["claims.team": "red"]
    #expect(pattern.matches("a_red_1", captures: captures) { identity[$0] })
    #expect(!pattern.matches("a_blue_1", captures: captures) { identity[$0] })
    #expect(!pattern.matches("a_red_1", captures: captures))
    #expect(!pattern.matches("a_red_1") { identity[$0] })
    #expect(pattern.text == "{room}_{claims.team}_*")
  }

  /// Nobody is everybody's neighbour by having no name.
  @Test func `an empty place means no group`() throws {
    let pattern = try pattern("user_{user}*").withUser
    #expect(pattern.isPersonal)
    #expect(pattern.matches("user_1") { _ in "1" })
    #expect(!pattern.matches("user_1") { _ in "" })
  }

  @Test func `only what a group can be called is read`() {
    for (text, place) in [("", 0..<0), ("a b*", 1..<2), ("x*{", 2..<3), ("a*b c", 3..<4)] {
      guard case .failure(let fault) = GroupPattern.parse(text) else {
        Issue.record("\"\(text)\" was taken")
        continue
      }
      #expect(fault.range == place, "\(text)")
    }
  }

  /// A star that is tried at every place would take years for this.
  @Test func `many stars take no time`() throws {
    let pattern = try pattern(String(repeating: "*a", count: 40) + "*b")
    #expect(!pattern.matches(String(repeating: "a", count: 99)))
  }

  @Test func `a template is a pattern of all its names`() throws {
    let template = try GroupTemplate.parse("chat_{room}_{user}").get().withUser
    let pattern = GroupPattern(anyOf: template)
    #expect(pattern.text == "chat_*_*")
    #expect(pattern.matches("chat_a_b"))
    #expect(!pattern.matches("chat_a"))
  }
}

struct PersonalGroupTests {
  @Test func `the name depends on who the client is`() throws {
    let template = try GroupTemplate.parse("{room}.{claims.team}.{user}").get().withUser
    let captures = Captures([.init(name: "room", value: "a")])
    #expect(template.name(for: captures) { ["user": "5", "claims.team": "red"][$0] } == "a.red.5")
    #expect(template.name(for: captures) { ["user": "5"][$0] } == nil)
    #expect(template.name(for: captures) { _ in "not legal" } == nil)
    #expect(template.name(for: captures) { _ in "" } == nil)
  }

  @Test func `the gateway's own groups are nobody else's`() throws {
    let template = try GroupTemplate.parse("{a}").get()
    #expect(template.name(for: Captures([.init(name: "a", value: "sluice.control")])) == nil)
  }
}
