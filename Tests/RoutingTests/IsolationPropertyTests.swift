import TestSupport
import Testing

@testable import Routing

/// The verdict about two uses is what comes out where all short paths, identities and wildcards are tried.
struct IsolationPropertyTests {
  /// Enough for every common name that the patterns below can have at all.
  private static let runs = strings(over: ["a", "1", "_"], upTo: 3)
  private static let paths = strings(over: ["a", "1", "_", "/"], upTo: 5).map { "x" + $0 }

  private static func strings(over characters: [String], upTo length: Int) -> [String] {
    var level = [""]
    var all = level
    for _ in 0..<length {
      level = level.flatMap { text in characters.map { text + $0 } }
      all += level
    }
    return all
  }

  /// A name, and who comes by it.
  private struct Reached: Hashable {
    var name: String
    var identity: [String: String]
  }

  private static let values = ["a", "a|1", "[a1]+", "[a_]{1,2}", "1?a", "_?", "[a1_]+", "aa|1", "[^/]{1,2}"]
  private static let templates = [
    "{u}", "a{u}", "{u}_", "a_{u}", "{u}{v}", "{u}_{v}", "{user}", "a{user}", "{user}_{u}", "{u}_{user}",
    "{user}_{claims.t}", "a_{claims.t}", "a*", "*", "{user}*", "_*_", "a", "a_1", "{u}*", "1{user}a",
    "{user}a",
  ]

  private static func use(_ generator: inout SplitMix) throws -> GroupUse {
    func pick(_ choices: [String]) -> String { choices.randomElement(using: &generator) ?? "" }
    let path = try route("re:^x(?P<u>\(pick(values)))/(?P<v>\(pick(values)))$")
    return GroupUse(
      layer: "default", pattern: pattern(pick(templates)), router: Router([path]), route: 0,
      access: .readAndWrite, audience: .authenticated(by: "jwt"))
  }

  /// Every name of a use, with the identities that lead there.
  private static func reached(_ use: GroupUse) -> Set<Reached> {
    var captures: Set<[String: String]> = []
    for path in paths {
      guard let match = use.router.match(RequestPath(text: path)) else { continue }
      var own: [String: String] = [:]
      for case .capture(let name) in use.pattern.parts { own[name] = match.captures[name] ?? "" }
      captures.insert(own)
    }
    var all: Set<Reached> = []
    for own in captures {
      var level = [Reached(name: "", identity: [:])]
      for part in use.pattern.parts {
        level = level.flatMap { reached -> [Reached] in
          switch part {
          case .literal(let text): return [Reached(name: reached.name + text, identity: reached.identity)]
          case .capture(let name):
            return [Reached(name: reached.name + (own[name] ?? ""), identity: reached.identity)]
          case .anything: return runs.map { Reached(name: reached.name + $0, identity: reached.identity) }
          case .identity(let field):
            return runs.dropFirst().map {
              var identity = reached.identity
              identity[field] = $0
              return Reached(name: reached.name + $0, identity: identity)
            }
          }
        }
      }
      all.formUnion(level.filter { !$0.name.isEmpty && $0.name.utf8.allSatisfy(GroupName.isLegal) })
    }
    return all
  }

  /// Whether a use makes the name of these texts, by another way than the search: the path is matched, the parts are joined.
  private func isReal(_ texts: [String], _ name: String, _ use: GroupUse) -> Bool {
    guard texts.joined() == name, (1...99).contains(name.utf8.count) else { return false }
    var values: [String: String] = [:]
    for (part, text) in zip(use.pattern.parts, texts) {
      switch part {
      case .literal(let literal): if literal != text { return false }
      case .identity: if text.isEmpty { return false }
      case .anything: break
      case .capture(let name): values[name] = text
      }
    }
    let path = use.router.path(ofRoute: 0, with: values, budget: .forAnalyses(of: 1))
    guard let path, let match = use.router.match(RequestPath(text: path)) else { return false }
    return values.allSatisfy { match.captures[$0.key] == $0.value }
  }

  @Test func `two uses meet exactly where enumeration says so`() throws {
    var generator = SplitMix(seed: 11)
    var verdicts = [0, 0]
    for _ in 0..<400 {
      let (one, other) = (try Self.use(&generator), try Self.use(&generator))
      let what =
        "\(one.router.routes[0].text) \(one.pattern.text) / \(other.router.routes[0].text) \(other.pattern.text)"
      let own = try #require(NameLanguage(one).flatMap(NameAutomaton.init))
      let others = try #require(NameLanguage(other).flatMap(NameAutomaton.init))
      let first = Self.reached(one)
      let second = Dictionary(grouping: Self.reached(other), by: \.name)
      let hasCommon = first.contains { second[$0.name] != nil }
      switch MeetingDecision(own, others, .anyName, budget: .forAnalyses(of: 2)).verdict() {
      case .open: Issue.record("open: \(what)")
      case .never:
        verdicts[0] += 1
        #expect(!hasCommon, "\(what)")
      case .meet(let meetings):
        verdicts[1] += 1
        #expect(hasCommon, "\(what): \(meetings)")
        for meeting in meetings {
          #expect(isReal(meeting.first, meeting.name, one), "\(what): \(meeting)")
          #expect(isReal(meeting.second, meeting.name, other), "\(what): \(meeting)")
        }
        // The first one is as short as any.
        let shortest = first.filter { second[$0.name] != nil }.map(\.name.utf8.count).min()
        #expect(meetings[0].name.utf8.count == shortest, "\(what): \(meetings[0])")
      }
    }
    #expect(verdicts.allSatisfy { $0 > 80 })
  }

  @Test func `somebody else comes by a personal group exactly where enumeration says so`() throws {
    var generator = SplitMix(seed: 12)
    var verdicts = [0, 0]
    for _ in 0..<600 {
      let one = try Self.use(&generator)
      guard !one.pattern.identityFields.isEmpty else { continue }
      let other = Bool.random(using: &generator) ? one : try Self.use(&generator)
      let what =
        "\(one.router.routes[0].text) \(one.pattern.text) / \(other.router.routes[0].text) \(other.pattern.text)"
      let own = try #require(NameLanguage(one).flatMap(NameAutomaton.init))
      let others = try #require(NameLanguage(other).flatMap(NameAutomaton.init))
      let second = Dictionary(grouping: Self.reached(other), by: \.name)
      let isLeak = Self.reached(one).contains { reached in
        (second[reached.name] ?? []).contains { another in
          reached.identity.contains { another.identity[$0.key] != $0.value }
        }
      }
      switch MeetingDecision(own, others, .otherIdentity, budget: .forAnalyses(of: 2)).verdict() {
      case .open: Issue.record("open: \(what)")
      case .never:
        verdicts[0] += 1
        #expect(!isLeak, "\(what)")
      case .meet(let meetings):
        verdicts[1] += 1
        #expect(isLeak, "\(what): \(meetings[0])")
        for meeting in meetings {
          #expect(isReal(meeting.first, meeting.name, one), "\(what): \(meeting)")
          #expect(isReal(meeting.second, meeting.name, other), "\(what): \(meeting)")
          var identities: [[String: String]] = [[:], [:]]
          for case (.identity(let field), let text) in zip(one.pattern.parts, meeting.first) {
            identities[0][field] = text
          }
          for case (.identity(let field), let text) in zip(other.pattern.parts, meeting.second) {
            identities[1][field] = text
          }
          #expect(identities[0].contains { identities[1][$0.key] != $0.value }, "\(what): \(meeting)")
        }
      }
    }
    #expect(verdicts.allSatisfy { $0 > 60 })
  }
}
