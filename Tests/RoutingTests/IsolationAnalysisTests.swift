import Bytes
import Testing

@testable import Routing

/// A route with a group, as a test states it.
struct Planted {
  var path: String
  var group: String
  var audience = AdmittedClients.everyone
  var access = GroupUse.Access.readAndWrite
  var isShared = false
  var isPublishing = false
  var layer = "default"
  var userType: UserType?

  static let staff = AdmittedClients.authenticated(by: "jwt", require: ["role": ["staff"]])
  static let users = AdmittedClients.authenticated(by: "jwt")
  static let partners = AdmittedClients.authenticated(by: "partners")
}

/// `{user}` and `{claims.x}` are of the identity, `*` is any run, other places are captures, all of them also with `|escaped`;
/// `<int:n>` is any number.
func pattern(_ text: String) -> GroupPattern {
  var parts: [GroupPattern.Part] = []
  var rest = text[...]
  while let character = rest.first {
    if character == "{" {
      let place = String(rest.dropFirst().prefix { $0 != "}" })
      rest = rest.dropFirst(place.count + 2)
      let form: GroupPattern.Form = place.hasSuffix("|escaped") ? .escaped : .plain
      let name = String(place.prefix { $0 != "|" })
      parts.append(
        name == "user" || name.hasPrefix("claims.") ? .identity(name, form) : .capture(name, form))
    } else if character == "<" {
      let words = rest.dropFirst().prefix { $0 != ">" }
      rest = rest.dropFirst(words.count + 2)
      let converter = PathConverter(rawValue: String(words.prefix { $0 != ":" }))
      parts.append(.converted(converter ?? .str, name: "n"))
    } else if character == "*" {
      rest = rest.dropFirst()
      parts.append(.anything)
    } else {
      let literal = rest.prefix { $0 != "{" && $0 != "*" && $0 != "<" }
      rest = rest.dropFirst(literal.count)
      parts.append(.literal(String(literal)))
    }
  }
  return GroupPattern(parts: parts)
}

func uses(_ planted: [Planted]) throws -> [GroupUse] {
  let router = Router(try planted.map { try route($0.path) })
  return planted.enumerated().map { index, one in
    GroupUse(
      layer: one.layer, pattern: pattern(one.group), router: router, route: index, access: one.access,
      audience: one.audience, userType: one.userType, isShared: one.isShared, isPublishing: one.isPublishing)
  }
}

func analysis(_ planted: Planted...) throws -> IsolationAnalysis {
  IsolationAnalysis(try uses(planted), budget: .forAnalyses(of: planted.count))
}

/// Kind, the use it is told of, and the example: `leak 0: chat_a /a /b`.
private func told(_ planted: Planted...) throws -> [String] {
  let analysis = IsolationAnalysis(try uses(planted), budget: .forAnalyses(of: planted.count))
  return analysis.findings().map { finding in
    let examples = finding.encounters.map { encounter in
      guard let example = encounter.example else { return "\(encounter.other) ?" }
      return "\(encounter.other) \(example.name) \(example.path ?? "?") \(example.otherPath ?? "?")"
    }
    let text = "\(finding.kind) \(finding.use)" + (finding.isShown ? "" : " not shown")
    return ([text] + examples).joined(separator: "; ")
  }
}

struct IsolationAnalysisTests {
  @Test func `what needs no credentials and what does may not meet`() throws {
    #expect(
      try told(
        Planted(path: "chat/<slug:room>/", group: "chat_{room}"),
        Planted(path: "staff/<slug:room>/", group: "chat_staff_{room}", audience: Planted.users))
        == ["leak 0; 1 chat_staff_a chat/staff_a/ staff/a/"])
    #expect(
      try told(
        Planted(path: "chat/<slug:room>/", group: "chat_{room}"),
        Planted(path: "staff/<slug:room>/", group: "staff_{room}", audience: Planted.users)) == [])
  }

  @Test func `groups of different layers never meet`() throws {
    let open = Planted(path: "a/", group: "news")
    #expect(
      try told(open, Planted(path: "b/", group: "news", audience: Planted.users, layer: "other")) == [])
    #expect(
      try told(open, Planted(path: "b/", group: "news", audience: Planted.users)) == ["leak 0; 1 news a/ b/"])
  }

  @Test func `a path that an earlier route answers leads nowhere`() throws {
    let secret = Planted(path: "chat/secret/", group: "chat_secret", audience: Planted.users)
    let rooms = Planted(path: "chat/<slug:room>/", group: "chat_{room}")
    #expect(try told(secret, rooms) == [])
    // Behind it nobody comes to the secret room with credentials.
    #expect(try told(rooms, secret) == [])
    // Another way to the same room is another matter.
    #expect(
      try told(secret, rooms, Planted(path: "also/<slug:room>/", group: "chat_{room}"))
        == ["leak 2; 0 chat_secret also/secret/ chat/secret/"])
  }

  @Test func `a whole number is compared as the route hands it on`() throws {
    let numbers = Planted(path: "n/<int:n>/", group: "room_{n}", audience: Planted.users)
    #expect(try told(Planted(path: "a/", group: "room_007"), numbers) == [])
    #expect(try told(Planted(path: "a/", group: "room_7"), numbers) == ["leak 0; 1 room_7 a/ n/7/"])
    #expect(try told(Planted(path: "<slug:x>/", group: "room_x{x}"), numbers) == [])
  }

  @Test func `a name of a hundred characters is none`() throws {
    let long = String(repeating: "x", count: 99)
    let user = Planted(path: "u/", group: long + "*", audience: Planted.users, access: .read)
    #expect(try told(Planted(path: "a/<slug:y>/", group: "{y}"), user).count == 1)
    #expect(try told(Planted(path: "a/<slug:y>/", group: "{y}y"), user) == [])
  }

  @Test func `a personal group is nobody else's`() throws {
    let own = Planted(path: "me/", group: "user_{user}", audience: Planted.users)
    #expect(try told(own) == [])
    #expect(
      try told(own, Planted(path: "of/<slug:name>/", group: "user_{name}", audience: Planted.users))
        == ["personal 1; 0 user_a of/a/ me/"])
    #expect(
      try told(own, Planted(path: "x/", group: "user_1_{user}", audience: Planted.users))
        == ["personal 1; 0 user_1_a x/ me/"])
    #expect(
      try told(own, Planted(path: "x/", group: "user_admin", audience: Planted.users))
        == ["personal 1; 0 user_admin x/ me/"])
    #expect(
      try told(own, Planted(path: "x/", group: "user_*", audience: Planted.users, access: .read)).count == 1)
    #expect(
      try told(own, Planted(path: "x/", group: "user_{claims.team}", audience: Planted.users)).count == 1)
  }

  @Test func `a template by which two users reach one name is a leak by itself`() throws {
    #expect(
      try told(Planted(path: "<slug:room>/", group: "u_{user}_{room}", audience: Planted.users)).count == 1)
    // A slug has no ".", so the last one is where the user ends.
    #expect(
      try told(Planted(path: "<slug:room>/", group: "u_{user}.{room}", audience: Planted.users)) == [])
    #expect(
      try told(Planted(path: "x/", group: "t_{user}.{claims.team}", audience: Planted.users)).count == 1)
    #expect(
      try told(Planted(path: "x/", group: "t_{claims.team}", audience: Planted.users)) == [])
  }

  @Test func `a personal group of another authenticator is of somebody else`() throws {
    #expect(
      try told(
        Planted(path: "a/", group: "user_{user}", audience: Planted.users),
        Planted(path: "b/", group: "user_{user}", audience: Planted.partners))
        == ["audience 1; 0 user_a b/ a/"])
  }

  @Test func `fewer rights are told, more are not`() throws {
    let staff = Planted(path: "staff/", group: "orders", audience: Planted.staff)
    #expect(
      try told(staff, Planted(path: "a/", group: "orders", audience: Planted.users))
        == ["audience 1; 0 orders a/ staff/"])
    #expect(
      try told(
        Planted(path: "staff/", group: "orders", audience: Planted.staff, access: .write),
        Planted(path: "a/", group: "orders", audience: Planted.users, access: .read)) == [])
    #expect(
      try told(staff, Planted(path: "b/", group: "orders", audience: Planted.staff)) == [])
  }

  @Test func `who only reads what is published reads what is published`() throws {
    let reader = Planted(path: "a/", group: "news", access: .read)
    func publisher(_ audience: AdmittedClients) -> Planted {
      Planted(path: "p/", group: "*", audience: audience, access: .write, isPublishing: true)
    }
    #expect(try told(reader, publisher(.tokenHolder)) == [])
    #expect(try told(reader, publisher(Planted.users)) == ["publicReading 0; 1 news a/ p/"])
    #expect(
      try told(Planted(path: "a/", group: "news"), publisher(Planted.users)) == ["leak 0; 1 news a/ p/"])
  }

  @Test func `what is allowed is no finding, and an allowance for nothing is one`() throws {
    let open = Planted(path: "a/", group: "news")
    let kept = Planted(path: "b/", group: "news", audience: Planted.users)
    for (first, second) in [(true, false), (false, true), (true, true)] {
      var (one, other) = (open, kept)
      one.isShared = first
      other.isShared = second
      #expect(try told(one, other) == [])
    }
    var alone = Planted(path: "c/", group: "other")
    alone.isShared = true
    #expect(try told(open, kept, alone) == ["leak 0; 1 news a/ b/", "needlessShared 2"])
  }

  @Test func `names of the gateway's own are reserved`() throws {
    #expect(try told(Planted(path: "a/", group: "sluice.control")) == ["reserved 0; 0 sluice.control a/ a/"])
    #expect(
      try told(Planted(path: "re:^(?P<x>[a-z.]+)$", group: "{x}")) == [
        "reserved 0; 0 sluice. sluice. sluice."
      ])
    #expect(try told(Planted(path: "a/", group: "{user}", audience: Planted.users)).count == 1)
    #expect(try told(Planted(path: "a/<slug:x>/", group: "{x}")) == [])
    #expect(try told(Planted(path: "a/", group: "*", access: .read)) == [])
  }

  @Test func `of many encounters the first are named, and all are counted`() throws {
    let analysis = IsolationAnalysis(
      try uses(
        [Planted(path: "a/", group: "news")]
          + (0..<40).map { Planted(path: "b\($0)/", group: "news", audience: Planted.users) }),
      budget: .forAnalyses(of: 41))
    let findings = analysis.findings()
    #expect(findings.count == 1)
    #expect(findings[0].encounters.map(\.other) == [1, 2, 3, 4, 5])
    #expect(findings[0].count == 40)
    let neighbours = analysis.neighbours()
    #expect(neighbours[0].count == 40)
    #expect(neighbours[7].count == 40)
    #expect(neighbours[7].encounters.map(\.other) == [0, 1, 2, 3, 4])
  }

  @Test func `where the budget ends nothing is promised`() throws {
    let analysis = IsolationAnalysis(
      try uses([
        Planted(path: "a/<slug:x>/", group: "{x}"), Planted(path: "b/", group: "b", audience: Planted.users),
      ]), budget: WorkBudget(3))
    let findings = analysis.findings()
    #expect(findings.contains { $0.kind == .leak && !$0.isShown && $0.encounters[0].other == 1 })
  }

  @Test func `thousands of routes that begin alike are told apart`() throws {
    var planted: [Planted] = []
    for number in 0..<1000 {
      planted.append(
        Planted(
          path: "r\(number)/<slug:x>/", group: "r\(number)_{x}",
          audience: number % 2 == 0 ? Planted.users : .everyone))
    }
    // "r1_" and "r11_" differ where "r1_" has its "_".
    let analysis = IsolationAnalysis(try uses(planted), budget: .forAnalyses(of: planted.count))
    #expect(analysis.findings() == [])
    #expect(analysis.neighbours().allSatisfy { $0.count == 0 })
  }
}
