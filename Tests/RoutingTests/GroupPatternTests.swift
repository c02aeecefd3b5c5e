import Routing
import Testing

@Suite struct GroupPatternTests {
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
  func meansTheGroupsThatItsTextSays(_ text: String, _ group: String, _ isMeant: Bool) throws {
    #expect(try pattern(text).matches(group) == isMeant)
  }

  @Test func fillsItsPlaces() throws {
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
  @Test func anEmptyPlaceMeansNoGroup() throws {
    let pattern = try pattern("user_{user}*").withUser
    #expect(pattern.isPersonal)
    #expect(pattern.matches("user_1") { _ in "1" })
    #expect(!pattern.matches("user_1") { _ in "" })
  }

  @Test func readsOnlyWhatAGroupCanBeCalled() {
    for (text, place) in [("", 0..<0), ("a b*", 1..<2), ("x*{", 2..<3), ("a*b c", 3..<4)] {
      guard case .failure(let fault) = GroupPattern.parse(text) else {
        Issue.record("\"\(text)\" was taken")
        continue
      }
      #expect(fault.range == place, "\(text)")
    }
  }

  /// A star that is tried at every place would take years for this.
  @Test func manyStarsTakeNoTime() throws {
    let pattern = try pattern(String(repeating: "*a", count: 40) + "*b")
    #expect(!pattern.matches(String(repeating: "a", count: 99)))
  }

  @Test func aTemplateIsAPatternOfAllItsNames() throws {
    let template = try GroupPattern.parse(template: "chat_{room}_{user}").get().withUser
    let pattern = GroupPattern(anyOf: template)
    #expect(pattern.text == "chat_*_*")
    #expect(pattern.matches("chat_a_b"))
    #expect(!pattern.matches("chat_a"))
  }
}

@Suite struct PersonalGroupTests {
  @Test func theNameDependsOnWhoTheClientIs() throws {
    let template = try GroupPattern.parse(template: "{room}.{claims.team}.{user}").get().withUser
    let captures = Captures([.init(name: "room", value: "a")])
    #expect(template.name(for: captures) { ["user": "5", "claims.team": "red"][$0] } == "a.red.5")
    #expect(template.name(for: captures) { ["user": "5"][$0] } == nil)
    #expect(template.name(for: captures) { _ in "not legal" } == nil)
    #expect(template.name(for: captures) { _ in "" } == nil)
  }

  @Test func theGatewaysOwnGroupsAreNobodysElse() throws {
    let template = try GroupPattern.parse(template: "{a}").get()
    #expect(template.name(for: Captures([.init(name: "a", value: "sluice.control")])) == nil)
  }
}

struct GroupTemplateTests {
  @Test func `a template is a pattern without a star`() throws {
    for text in ["news", "chat_{room}", "{room}.{claims.team}.{user}", "a{b}{c}d"] {
      let template = try GroupPattern.parse(template: text).get()
      #expect(try template == GroupPattern.parse(text).get())
      #expect(template.text == text)
    }
    guard case .failure(let fault) = GroupPattern.parse(template: "ticker_*") else {
      Issue.record("a template has a star")
      return
    }
    #expect(fault.message == #"a group name cannot contain the character "*""#)
    #expect(fault.range == 7..<8)
  }

  @Test func `a pattern with a star names no group`() throws {
    #expect(try GroupPattern.parse("ticker_*").get().name(for: Captures()) == nil)
    #expect(try GroupPattern.parse("ticker").get().name(for: Captures()) == "ticker")
  }
}
