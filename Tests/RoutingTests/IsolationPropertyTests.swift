import TestSupport
import Testing

@testable import Routing

/// The verdict about two uses is what comes out where all short paths, identities and wildcards are tried.
struct IsolationPropertyTests {
  /// Enough for every common name that the patterns below can have at all.
  private static let runs =
    strings(over: ["a", "1", "_"], upTo: 3) + [
      ".40", "a.40", ".40a", "1.40", ".40_", ".40.40", ".", "40", ".4", "0",
    ]
  /// What users and claims are: a text that has to be escaped is among them.
  private static let texts = runs.dropFirst() + ["@", "a@", "@a", "@@", "@_", "_@", "1@"]
  private static let paths = strings(over: ["a", "1", "_", "@", "/"], upTo: 5).map { "x" + $0 }

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
    "{user}a", "{user|escaped}", "a{user|escaped}", "{user|escaped}_{u}", "{u|escaped}", "{u|escaped}_{v}",
    "{claims.t|escaped}", "{user}_{claims.t|escaped}", "{user}{claims.t|escaped}", "{claims.e\u{301}}a",
    "{claims.\u{E9}}a", "<int:n>", "a<int:n>",
    "<slug:n>_", "a_<slug:n>*",
    "<str:n>1",
  ]

  private static func use(_ generator: inout SplitMix) throws -> GroupUse {
    func pick(_ choices: [String]) -> String { choices.randomElement(using: &generator) ?? "" }
    let path = try route("re:^x(?P<u>\(pick(values)))/(?P<v>\(pick(values)))$")
    var use = GroupUse(
      layer: "default", pattern: pattern(pick(templates)), router: Router([path]), route: 0,
      access: .readAndWrite, audience: .authenticated(by: "jwt"),
      userType: Int.random(in: 0..<4, using: &generator) == 0 ? .int : nil)
    // Where the path has to name the claim, as with require: {t: "{u}"}, or a word of it, which is no claim in a name.
    switch Int.random(in: 0..<6, using: &generator) {
    case 0, 1: if !use.pattern.identityFields.contains("claims.t") { use.ties = ["u": "claims.t"] }
    case 2: use.ties = ["u": "a word of claims.t"]
    default: break
    }
    return use
  }

  /// Whether the converter takes the text.
  private static func isOf(_ converter: PathConverter, _ text: String) -> Bool {
    switch converter {
    case .int:
      text.allSatisfy { "0123456789".contains($0) } && !text.isEmpty && (text == "0" || text.first != "0")
    case .slug: !text.isEmpty && !text.contains(".")
    case .str, .path: !text.isEmpty
    case .uuid: false
    }
  }

  /// Every name of a use, with the identities that lead there.
  private static func reached(_ use: GroupUse) -> Set<Reached> {
    var captures: Set<[String: String]> = []
    for path in paths {
      guard let match = use.router.match(RequestPath(text: path)) else { continue }
      var own: [String: String] = [:]
      for case .capture(let name, _) in use.pattern.parts { own[name] = match.captures[name] ?? "" }
      captures.insert(own)
    }
    var all: Set<Reached> = []
    for own in captures {
      var level = [Reached(name: "", identity: [:])]
      for part in use.pattern.parts {
        level = level.flatMap { reached -> [Reached] in
          switch part {
          case .literal(let text): return [Reached(name: reached.name + text, identity: reached.identity)]
          case .capture(let name, let form):
            var identity = reached.identity
            if let field = use.ties[name] { identity[field] = own[name] ?? "" }
            return [Reached(name: reached.name + form.text(own[name] ?? ""), identity: identity)]
          case .converted(let converter, _):
            return runs.filter { isOf(converter, $0) }.map {
              Reached(name: reached.name + $0, identity: reached.identity)
            }
          case .anything: return runs.map { Reached(name: reached.name + $0, identity: reached.identity) }
          case .identity(let field, let form):
            let values = field == "user" ? texts.filter { use.userType?.admits($0) != false } : Array(texts)
            return values.map {
              var identity = reached.identity
              identity[field] = $0
              return Reached(name: reached.name + form.text($0), identity: identity)
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
      case .identity(let field, let form):
        let value = form.value(of: text)
        if text.isEmpty || form.text(value) != text { return false }
        if field == "user", use.userType?.admits(value) == false { return false }
      case .converted(let converter, _): if !Self.isOf(converter, text) { return false }
      case .anything: break
      case .capture(let name, let form):
        values[name] = form.value(of: text)
        if values[name].map(form.text) != text { return false }
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
      guard one.isPersonal else { continue }
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
          let identities = [(one, meeting.first), (other, meeting.second)].map { use, texts in
            var identity: [String: String] = [:]
            for (part, text) in zip(use.pattern.parts, texts) {
              switch part {
              case .identity(let field, let form): identity[field] = form.value(of: text)
              case .capture(let name, let form):
                if let field = use.ties[name] { identity[field] = form.value(of: text) }
              case .literal, .converted, .anything: break
              }
            }
            return identity
          }
          #expect(identities[0].contains { identities[1][$0.key] != $0.value }, "\(what): \(meeting)")
        }
      }
    }
    #expect(verdicts.allSatisfy { $0 > 60 })
  }

  @Test func `what clients really join is what the proof counts on`() throws {
    var generator = SplitMix(seed: 13)
    var made = 0
    for _ in 0..<200 {
      let use = try Self.use(&generator)
      let own = try #require(NameLanguage(use).flatMap(NameAutomaton.init))
      let user =
        Self.texts.filter { use.userType?.admits($0) != false }.randomElement(using: &generator) ?? "1"
      let list = (0..<3).map { _ in Self.texts.randomElement(using: &generator) ?? "a" }
      let client: [String: IdentityValue] = ["user": .one(user), "claims.t": .list(list)]
      guard
        let path = Self.paths.filter({ use.router.match(RequestPath(text: $0)) != nil }).randomElement(
          using: &generator),
        let match = use.router.match(RequestPath(text: path)),
        case .success(let names) = use.pattern.names(for: match.captures, identity: { client[$0] })
      else { continue }
      for name in names {
        made += 1
        let literal = try #require(NameAutomaton(NameLanguage([.literal(name)])))
        let verdict = MeetingDecision(own, literal, .anyName, budget: .forAnalyses(of: 2)).verdict()
        guard case .meet = verdict else {
          Issue.record("\(use.pattern.text) at \(path) makes \(name), which the proof does not know")
          continue
        }
      }
    }
    #expect(made > 60)
  }

  @Test func `a view may name exactly what the proof counts on`() throws {
    for text in [
      "<int:n>", "a<int:n>", "<slug:n>_", "a_<slug:n>*", "<str:n>1", ".40*", "a.40", "<uuid:n>", "a*1",
    ] {
      let view = GroupsFromView([pattern(text)])
      let automaton = try #require(
        NameAutomaton(NameLanguage(pattern(text).parts.compactMap(NameLanguage.Part.init))))
      for name in Self.runs + [
        "sluice.1", "01", "a01", "a_b_", "é", "a b", "00000000-0000-0000-0000-00000000000a",
      ] {
        let literal = try #require(NameAutomaton(NameLanguage([.literal(name)])))
        let verdict = MeetingDecision(automaton, literal, .anyName, budget: .forAnalyses(of: 2)).verdict()
        var isKnown = false
        if case .meet = verdict { isKnown = GroupName.isOpen(name) }
        #expect(view.admits(name) == isKnown, "\(text) \(name)")
      }
    }
  }
}
