import TestSupport
import Testing

@testable import Routing

/// What a table of routes means, read straight from the expressions: sets of places where a match can end, over characters
/// instead of bytes, without an automaton.
private struct Reference {
  private let text: [Unicode.Scalar]

  init(_ text: String) {
    self.text = Array(text.unicodeScalars.drop { $0 == "/" })
  }

  func winner(of routes: [RoutePath]) -> Int? {
    routes.firstIndex(where: matches)
  }

  func matches(_ route: RoutePath) -> Bool {
    var places: Set<Int> = [0]
    for (number, pattern) in route.patterns.enumerated() {
      if number > 0 { places = Set(places.map(skipSlashes)) }
      places = Set(places.flatMap { ends(pattern.expression, at: $0, start: $0) })
    }
    return places.contains(text.count)
  }

  private func skipSlashes(_ place: Int) -> Int {
    text[place...].firstIndex { $0 != "/" } ?? text.count
  }

  private func ends(_ expression: Expression, at place: Int, start: Int) -> Set<Int> {
    switch expression {
    case .characters(let set):
      guard place < text.count, set.ranges.contains(where: { $0.contains(text[place].value) }) else {
        return []
      }
      return [place + 1]
    case .sequence(let parts):
      return parts.reduce([place]) { places, part in
        Set(places.flatMap { ends(part, at: $0, start: start) })
      }
    case .alternatives(let alternatives):
      return Set(alternatives.flatMap { ends($0, at: place, start: start) })
    case .repetition(let inner, let least, let most, _):
      var result: Set<Int> = least == 0 ? [place] : []
      var places: Set<Int> = [place]
      for count in 1...max(1, min(most ?? Int.max, least + text.count + 1)) where most != 0 {
        places = Set(places.flatMap { ends(inner, at: $0, start: start) })
        if count >= least { result.formUnion(places) }
      }
      return result
    case .capture(_, let inner): return ends(inner, at: place, start: start)
    case .start: return place == start ? [place] : []
    case .end: return place == text.count ? [place] : []
    case .endOrLastLineFeed:
      return place == text.count || place == text.count - 1 && text[place] == "\n" ? [place] : []
    }
  }
}

private struct Tables {
  var generator: SplitMix

  mutating func pick(_ choices: [String]) -> String {
    choices.randomElement(using: &generator) ?? ""
  }

  mutating func pathPattern(isPrefix: Bool) -> String {
    var text = ""
    for (number, name) in ["p", "q"].prefix(Int.random(in: 0...2, using: &generator)).enumerated() {
      text +=
        pick(["", "a", "b/", "/"]) + pick(["<int:\(name)>", "<\(name)>", "<slug:\(name)>", "<path:\(name)>"])
      if number == 0 { text += pick(["/", "a", ""]) }
    }
    return text + pick(["", "a", "b", "/"]) + (isPrefix ? "/" : "")
  }

  mutating func regex() -> String {
    let atoms = [
      "a", "b", "/", "[ab]", "[^a]", ".", #"\w"#, "(?:a|b/)", "(?:ab)?", "a*", "b+", "a{1,2}", "(?:a|ab)",
      "é", "$", "^",
    ]
    let body = (0..<Int.random(in: 1...4, using: &generator)).map { _ in pick(atoms) }.joined()
    return pick(["^", ""]) + body + pick(["$", "", #"\Z"#])
  }

  mutating func table() -> [RoutePath] {
    var routes: [RoutePath] = []
    while routes.count < Int.random(in: 1...4, using: &generator) {
      var patterns: [RoutePattern] = []
      if Bool.random(using: &generator) {
        guard
          let prefix = try? RoutePattern.parse(pathPattern(isPrefix: true), as: .path, role: .prefix).get()
        else { continue }
        patterns.append(prefix)
      }
      let last =
        Bool.random(using: &generator)
        ? RoutePattern.parse(pathPattern(isPrefix: false), as: .path, role: .endpoint)
        : RoutePattern.parse(regex(), as: .regex, role: .endpoint)
      guard case .success(let pattern) = last else { continue }
      routes.append(RoutePath(patterns + [pattern]))
    }
    return routes
  }

  mutating func path() -> String {
    (0..<Int.random(in: 0...7, using: &generator)).map { _ in pick(["a", "b", "/", "1", "é", "\n", "-"]) }
      .joined()
  }
}

struct RouterPropertyTests {
  @Test func `the automaton matches what the expressions mean`() {
    var tables = Tables(generator: SplitMix(seed: 42))
    var matched = 0
    for _ in 0..<1000 {
      let routes = tables.table()
      let router = Router(routes)
      for _ in 0..<20 {
        let path = tables.path()
        let expected = Reference(path).winner(of: routes)
        matched += expected == nil ? 0 : 1
        #expect(
          router.match(RequestPath(text: path))?.route == expected,
          "\(routes.map(\.text)) at \(path.debugDescription)")
      }
    }
    #expect(matched > 1000)
  }

  @Test func `what is said to be unreachable never answers, and everything else does`() {
    var tables = Tables(generator: SplitMix(seed: 5))
    let paths = Self.allPaths(of: ["a", "b", "/"], upTo: 6)
    var unreachable = 0
    for _ in 0..<150 {
      let atoms = ["a", "b", "[ab]", "a?", "b*", "(?:a|b)", "/"]
      let routes = (0..<4).compactMap { _ -> RoutePath? in
        let body = (0..<Int.random(in: 1...3, using: &tables.generator)).map { _ in tables.pick(atoms) }
          .joined()
        return (try? RoutePattern.parse("^" + body + "$", as: .regex, role: .endpoint).get()).map {
          RoutePath([$0])
        }
      }
      let router = Router(routes)
      let winners = Set(paths.compactMap { Reference($0).winner(of: routes) })
      let reported = Set(
        router.findings.compactMap { finding -> Int? in
          switch finding {
          case .unreachable(let route, let coveredBy):
            #expect(!coveredBy.isEmpty)
            return route
          case .matchesNothing(let route): return route
          case .partlyCovered(let route, let by, let example):
            #expect(Reference(example).matches(routes[route]))
            #expect(Reference(example).winner(of: routes) == by)
            return nil
          case .unanchored, .ambiguousPrefix, .tooComplex, .open, .notProved: return nil
          }
        })
      unreachable += reported.count
      #expect(reported == Set(routes.indices).subtracting(winners), "\(routes.map(\.text))")
    }
    #expect(unreachable > 20)
  }

  private static func allPaths(of letters: [String], upTo length: Int) -> [String] {
    var level = [""]
    var all = level
    for _ in 0..<length {
      level = level.flatMap { path in letters.map { path + $0 } }
      all += level
    }
    // A request path never begins with a slash.
    return all.filter { !$0.hasPrefix("/") }
  }
}
