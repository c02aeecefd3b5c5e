import TestSupport
import Testing

@testable import Routing

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

  @Test func `captures are those that a backtracking matcher finds`() {
    var tables = Tables(generator: SplitMix(seed: 77))
    let inner = [
      ".", "[^/]", "a", "(?:a|ab)", "(?:b|)", #"(?:.|\n)"#, #"[\s\S]"#, "a?", #"\w"#, "[^a]",
      #"(?:a|[\s\S])"#,
    ]
    var matched = 0
    for _ in 0..<1700 {
      var body = ""
      for name in ["x", "y", "z"].prefix(Int.random(in: 1...3, using: &tables.generator)) {
        let what = tables.pick(inner) + tables.pick(["", "*", "+", "*?", "+?", "{1,2}"])
        body += tables.pick(["", "a", "/", "b?"]) + "(?P<\(name)>\(what))"
      }
      body = "^" + body + tables.pick(["", "/", "b*"]) + tables.pick(["$", #"\Z"#])
      guard let pattern = try? RoutePattern.parse(body, as: .regex, role: .endpoint).get() else { continue }
      let router = Router([RoutePath([pattern])])
      for _ in 0..<20 {
        let path = tables.path()
        guard !path.hasPrefix("/"), !path.hasSuffix("\n") || body.hasSuffix("Z") else { continue }
        let found = router.match(RequestPath(text: path)).map { match in
          Dictionary(match.captures.all.map { ($0.name, $0.value) }) { $1 }
        }
        matched += found == nil ? 0 : 1
        #expect(found == Reference(path).captures(pattern), "\(body) at \(path.debugDescription)")
      }
    }
    #expect(matched > 2000)
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
