import TestSupport
import Testing

@testable import Routing

/// What is proved about groups holds for every short path there is, and what is shown is so.
struct GroupAnalysisPropertyTests {
  private static let paths: [String] = {
    var level = [""]
    var all = level
    for _ in 0..<5 {
      level = level.flatMap { path in ["a", "-", "/", "é"].map { path + $0 } }
      all += level
    }
    // A request path never begins with a slash.
    return all.filter { !$0.hasPrefix("/") }
  }()

  private static let values = ["a", "[a-]*", "[a-]+", "a?", "/a?", "a|-", "[^/]", "é?", "[^a]*", "-{1,2}"]

  private static func pattern(_ generator: inout SplitMix) -> String {
    func pick(_ choices: [String]) -> String { choices.randomElement(using: &generator) ?? "" }
    let first = "(?P<u>\(pick(values)))" + pick(["", "", "?"])
    let second = "(?P<v>\(pick(values)))" + pick(["", "", "?"])
    return "re:^" + pick(["a", "", "-"]) + first + pick(["/", "", "-"]) + second + pick(["", "/", "a"]) + "$"
  }

  @Test func `a group without a finding is legal and its own for every path`() throws {
    var generator = SplitMix(seed: 7)
    var proved = 0
    for _ in 0..<150 {
      let path =
        Bool.random(using: &generator)
        ? try route(Self.pattern(&generator))
        : try route("<str:u>/", Self.pattern(&generator))
      let router = Router([path])
      let text = ["{u}", "g{u}", "{u}{v}", "{u}.{v}", "g{u}{v}"].randomElement(using: &generator) ?? ""
      let template = try GroupPattern.parse(template: text).get()
      let findings = GroupAnalysis(template, route: 0, of: router, budget: .forAnalyses(of: 1)).findings()
      for finding in findings { check(finding, template, router) }
      guard findings.isEmpty else { continue }
      proved += 1
      var seen: [String: [String?]] = [:]
      for text in Self.paths {
        guard let captures = router.match(RequestPath(text: text))?.captures else { continue }
        let name = try #require(template.name(for: captures), "\(path.text) \(template.text) at \(text)")
        let values = template.captureNames.map { captures[$0] }
        #expect(seen[name] ?? values == values, "\(path.text) \(template.text) at \(text)")
        seen[name] = values
      }
    }
    #expect(proved > 10)
  }

  private func check(_ finding: GroupFinding, _ template: GroupPattern, _ router: Router) {
    func captures(_ path: String) -> Captures? { router.match(RequestPath(text: path))?.captures }
    switch finding {
    case .illegalName(_, let example), .emptyName(let example), .absent(_, let example):
      #expect(captures(example).map { template.name(for: $0) == nil } == true, "\(finding)")
    case .colliding(let first, let second, let name):
      let both = [captures(first), captures(second)].compactMap(\.self)
      #expect(both.count == 2 && both[0] != both[1] && both.allSatisfy { template.name(for: $0) == name })
    case .unknownCapture, .legalNotProved, .emptyNotProved, .collisionsNotProved: break
    }
  }
}
