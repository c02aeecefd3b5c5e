import TestSupport
import Testing

@testable import Routing

/// Random tables that have much in common, as the two versions of one file have.
private struct TablePairs {
  var generator: SplitMix

  private static let patterns = [
    "a/", "b/", "ab", "<slug:x>/", "<int:x>/", "<str:x>", "a/<slug:x>/", "a/<path:x>", "<str:x>/<str:y>/",
    "re:^a+$", "re:^(?:a|b)*/$", "re:^[ab]{1,2}/(?P<x>.*)$", "re:b/", "re:^(?P<x>a)?(?P<y>b)?/", "re:^$",
    "a/|<slug:x>/", "re:^(?P<x>[ab]+)/|<int:y>/", "a/|re:^b", "<int:x>/|<path:y>",
  ]

  mutating func table() throws -> [RoutePath] {
    try (0..<Int.random(in: 0...4, using: &generator)).map { _ in
      try path(Self.patterns.randomElement(using: &generator) ?? "a/")
    }
  }

  /// The same table with some routes changed, removed, added or moved.
  mutating func edited(_ table: [RoutePath]) throws -> [RoutePath] {
    var table = table
    for _ in 0..<Int.random(in: 0...3, using: &generator) {
      let other = try path(Self.patterns.randomElement(using: &generator) ?? "a/")
      let index = table.isEmpty ? 0 : Int.random(in: 0..<table.count, using: &generator)
      switch Int.random(in: 0...3, using: &generator) {
      case 0 where !table.isEmpty: table.remove(at: index)
      case 1 where !table.isEmpty: table[index] = other
      case 2: table.shuffle(using: &generator)
      default: table.insert(other, at: index)
      }
    }
    return table
  }

  mutating func request() -> String {
    (0..<Int.random(in: 0...6, using: &generator)).map { _ in
      ["a", "b", "/", "1", "-", "é", "\n"].randomElement(using: &generator) ?? "a"
    }.joined()
  }

  private func path(_ text: String) throws -> RoutePath {
    let parts = text.split(separator: "|", omittingEmptySubsequences: false)
    // A bar within a regular expression is none between patterns.
    guard !text.contains("(?:a|b)") else { return RoutePath([try Self.parse(text[...], .endpoint)]) }
    return RoutePath(
      try parts.enumerated().map { try Self.parse($1, $0 == parts.count - 1 ? .endpoint : .prefix) })
  }

  private static func parse(_ text: Substring, _ role: RoutePattern.Role) throws -> RoutePattern {
    let isRegex = text.hasPrefix("re:")
    return try RoutePattern.parse(
      String(isRegex ? text.dropFirst(3) : text), as: isRegex ? .regex : .path, role: role
    ).get()
  }
}

struct TableComparisonPropertyTests {
  @Test func `whatever is routed is listed, and every example leads where it says`() throws {
    var pairs = TablePairs(generator: SplitMix(seed: 17))
    var seen = 0
    for _ in 0..<250 {
      let table = try pairs.table()
      let (old, new) = (Router(table), Router(try pairs.edited(table)))
      let comparison = TableComparison(old, new, budget: WorkBudget(2_000_000))
      #expect(comparison.isComplete)
      let known = Set(comparison.parts.map { [$0.old, $0.new] })
      #expect(known.count == comparison.parts.count)
      for part in comparison.parts {
        let request = RequestPath(text: part.example)
        #expect([old.match(request)?.route, new.match(request)?.route] == [part.old, part.new])
      }
      for _ in 0..<40 {
        let request = RequestPath(text: pairs.request())
        let found = [old.match(request)?.route, new.match(request)?.route]
        guard found != [nil, nil] else { continue }
        seen += 1
        #expect(known.contains(found), "\(request.text.debugDescription) leads to \(found)")
      }
    }
    #expect(seen > 800)
  }

  @Test func `captures that are said to be the same are the same at every path`() throws {
    var pairs = TablePairs(generator: SplitMix(seed: 4))
    var same = 0
    var different = 0
    for _ in 0..<150 {
      let table = try pairs.table()
      let (old, new) = (Router(table), Router(try pairs.edited(table)))
      let comparison = TableComparison(old, new, budget: WorkBudget(2_000_000))
      for part in comparison.parts where part.old != nil && part.new != nil {
        let captures = CaptureComparison(old, new, part, budget: WorkBudget(500_000))
        switch captures.agreement(on: [(old: "x", new: "x")]) {
        case .same:
          same += 1
          for _ in 0..<30 {
            let request = RequestPath(text: pairs.request())
            guard let one = old.match(request), let other = new.match(request), one.route == part.old,
              other.route == part.new
            else { continue }
            #expect(one.captures["x"] == other.captures["x"], "\(request.text.debugDescription)")
          }
        case .different(let example):
          different += 1
          let request = RequestPath(text: example)
          #expect(old.match(request)?.captures["x"] != new.match(request)?.captures["x"])
        case .open: break
        }
      }
    }
    #expect(same > 40 && different > 4)
  }
}
