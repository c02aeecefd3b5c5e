import Testing

@testable import Routing

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

  @Test(arguments: [
    ("", ""), ("user_5", "user_5"), ("ann@example.com", "ann.40example.2Ecom"),
    ("auth0|64b0c7", "auth0.7C64b0c7"),
    ("josé", "jos.C3.A9"), ("a b", "a.20b"), (".40", ".2E40"), ("\u{0}\u{1F600}", ".00.F0.9F.98.80"),
  ])
  func `any text can be a part of a name`(_ text: String, _ escaped: String) {
    #expect(GroupName.escaped(text) == escaped)
    #expect(GroupName.unescaped(escaped) == text)
  }

  @Test(arguments: [".4", ".", ".2e", ".41", "a@", ".C3", ".4G", ".+4"])
  func `no text has this form`(_ name: String) {
    #expect(GroupName.unescaped(name) == nil)
  }

  @Test func `a place may be escaped`() throws {
    let pattern = try GroupPattern.parse(template: "x_{room|escaped}_{user|escaped}_{claims.a|b|escaped}")
      .get().withUser
    #expect(
      pattern.parts == [
        .literal("x_"), .capture("room", .escaped), .literal("_"), .identity("user", .escaped), .literal("_"),
        .identity("claims.a|b", .escaped),
      ])
    #expect(pattern.text == "x_{room|escaped}_{user|escaped}_{claims.a|b|escaped}")
    for text in ["{room|upper}", "{room |escaped}", "{|escaped}", "{room|escaped|escaped}"] {
      guard case .failure(let fault) = GroupPattern.parse(template: text) else {
        Issue.record("\(text) was taken")
        continue
      }
      #expect(fault.hint?.contains("{") == true, "\(text)")
    }
  }

  @Test(arguments: [
    ("", ""), ("{room}", "write <int:id>"), ("<int:id", "is not closed"), ("<number:id>", "use one of int"),
    ("room <int:id>", "a group name cannot contain"), ("<int:>", "name"),
  ])
  func `what a view may name has a notation of its own`(_ text: String, _ words: String) {
    guard case .failure(let fault) = GroupPattern.parse(fromView: text) else {
      Issue.record("\(text) was taken")
      return
    }
    #expect("\(fault.message) \(fault.hint ?? "")".contains(words), "\(fault)")
  }

  @Test(arguments: [
    (UserType.int, "0", true), (.int, "15", true), (.int, "05", false), (.int, "", false),
    (.int, "-1", false),
    (.int, "1a", false), (.uuid, "6f9619ff-8b86-d011-b42d-00cf4fc964ff", true),
    (.uuid, "6F9619FF-8b86-d011-b42d-00cf4fc964ff", false),
    (.uuid, "6f9619ff8b86d011b42d00cf4fc964ff", false),
    (.uuid, "6f9619ff-8b86-d011-b42d-00cf4fc964f", false),
  ])
  func `a type says what a user can be called`(_ type: UserType, _ user: String, _ isOne: Bool) {
    #expect(type.admits(user) == isOne)
  }
}
