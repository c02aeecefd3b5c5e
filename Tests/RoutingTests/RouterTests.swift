import TestSupport
import Testing

@testable import Routing

/// Parses `path` patterns, and `re_path` patterns behind `re:`; a route of several is written as an array.
func route(_ patterns: String...) throws -> RoutePath {
  RoutePath(
    try patterns.enumerated().map { index, text in
      let role: RoutePattern.Role = index + 1 == patterns.count ? .endpoint : .prefix
      return text.hasPrefix("re:")
        ? try RoutePattern.parse(String(text.dropFirst(3)), as: .regex, role: role).get()
        : try RoutePattern.parse(text, as: .path, role: role).get()
    })
}

struct RouterTests {
  /// Django's behaviour, row by row: pattern, paths it matches, paths it does not.
  static let table: [(pattern: String, matches: [String], others: [String])] = [
    ("re:x/$", ["/x/"], ["/a/x/", "/x/y"]),
    ("re:x/", ["/x/", "/a/x/", "/a/x/b"], ["/x"]),
    ("re:^x/", ["/x/", "/x/rest"], ["/a/x/"]),
    (#"re:x/\Z"#, ["/x/", "/a/x/"], ["/x/y"]),
    ("re:", ["/", "/anything", ""], []),
    ("", ["/", ""], ["/a"]),
    ("x/", ["/x/", "x/", "///x/"], ["/x", "/x/y", "/X/"]),
    ("<int:n>/", ["/7/", "/007/"], ["/-7/", "/a/", "//"]),
    ("<str:s>/", ["/é/", "/a b/"], ["/a/b/"]),
    ("<slug:s>/", ["/a-b_1/"], ["/é/", "/a.b/"]),
    ("<path:p>x", ["/a/b/x", "/ax"], ["/x", "/a/b/y"]),
    ("<uuid:u>", ["/01234567-89ab-cdef-0123-456789abcdef"], ["/01234567-89AB-cdef-0123-456789abcdef"]),
    (#"re:^ws/(?P<room>\w+)/$"#, ["/ws/lobby/"], ["/ws/été/", "/ws/lob-by/", "/ws/lobby/\n"]),
    ("re:^a$|^b$", ["/a", "/b"], ["/ab", "/a\n"]),
    (#"re:^[^\d]{2,3}$"#, ["/ab", "/éü€"], ["/a", "/a1", "/abcd"]),
    ("re:(?i)^Chat/$", ["/chat/", "/CHAT/"], ["/hat/"]),
    ("re:(?i)^kiss$", ["/kiss", "/\u{212A}\u{130}\u{17F}s"], ["/k\u{E9}ss"]),
    ("re:^$^", ["/", ""], ["/a"]),
    (#"re:\Z\A"#, ["/"], ["/a"]),
    (#"re:(?:$|\w)^"#, ["/"], []),
    ("re:^a{,}$", ["/", "/a", "/aaa"], ["/a{,}"]),
    ("re:^a(?#note)*b$", ["/b", "/aab"], ["/aa"]),
    ("re:^(?:a(?#x)(?#y){2}){2}$", ["/aaaa"], ["/aa"]),
    ("re:^a{}$", ["/a{}"], ["/a"]),
  ]

  @Test(arguments: table)
  func `a pattern matches what Django matches`(_ row: (pattern: String, matches: [String], others: [String]))
    throws
  {
    let router = Router([try route(row.pattern)])
    for path in row.matches { #expect(router.match(RequestPath(text: path)) != nil, "\(path)") }
    for path in row.others { #expect(router.match(RequestPath(text: path)) == nil, "\(path)") }
  }

  @Test(arguments: ["(?i)\u{E9}", "(?i)[\u{E0}-\u{FF}]", "(?#x)*", "a*(?#x)*", "(?#x"])
  func `what Python refuses, or only Python knows, is refused`(_ text: String) {
    #expect(throws: PatternFault.self) { try RoutePattern.parse(text, as: .regex, role: .endpoint).get() }
  }

  /// Found by letting each run for minutes, or until memory was used up.
  @Test(
    arguments: [
      "(?:(?:(?:(?:){1000}){1000}){1000}){1000}x/$", "^(?:a|b)*a(?:a|b){40}$", "^(?:(?:a?){1000}){5}$",
    ])
  func `no pattern takes long`(_ text: String) throws {
    let time = try processorTime {
      let router = Router([try route("re:" + text), try route("x/")])
      #expect(router.match(RequestPath(text: "x/")) != nil)
    }
    #expect(time < .seconds(60))
  }

  @Test func `many routes that are searched for load fast, and the first one wins`() throws {
    let words = (0..<40).map { "\(Character(Unicode.Scalar(UInt8(97 + $0 % 26))))room\($0)" }
    let router = Router(try words.map { try route("re:ws/\($0)/") })
    for (number, word) in words.enumerated() {
      #expect(router.match(RequestPath(text: "a/ws/\(word)/b"))?.route == number)
      #expect(router.match(RequestPath(text: "ws/\(words[39])/ws/\(word)/"))?.route == number)
    }
    #expect(router.match(RequestPath(text: "ws/broom/")) == nil)
    #expect(router.wholeTable != nil)
    #expect(
      router.findings.contains(
        .partlyCovered(route: 39, by: 0, example: "ws/\(words[0])/ws/\(words[39])/"))
        || router.findings.contains(
          .partlyCovered(route: 39, by: 0, example: "ws/\(words[39])/ws/\(words[0])/"))
    )
  }

  @Test func `the first declared route that matches wins`() throws {
    let router = Router([try route("a/"), try route("<slug:x>/"), try route("b/")])
    #expect(router.match(RequestPath(text: "/a/"))?.route == 0)
    #expect(router.match(RequestPath(text: "/b/"))?.route == 1)
  }

  @Test func `a path that is longer than any file's name matches nothing`() throws {
    let router = Router([try route("<path:a>/b/")])
    let longest = String(repeating: "a", count: Router.longestPath - 3)
    #expect(router.match(RequestPath(text: longest + "/b/"))?.captures["a"] == longest)
    #expect(router.match(RequestPath(text: longest + "a/b/")) == nil)
  }

  @Test func `captures are texts, and numbers lose their leading zeros`() throws {
    let router = Router([try route("o/<int:a>/<str:b>/<path:c>")])
    let match = try #require(router.match(RequestPath(text: "/o/007/x y/p/q")))
    #expect(
      match.captures.all == [
        .init(name: "a", value: "7"), .init(name: "b", value: "x y"), .init(name: "c", value: "p/q"),
      ])
  }

  @Test func `greedy and lazy captures prefer as Python does`() throws {
    let greedy = Router([try route("re:^(?P<a>.*)(?P<b>x*)$")])
    #expect(greedy.match(RequestPath(text: "axx"))?.captures["a"] == "axx")
    let lazy = Router([try route("re:^(?P<a>.*?)(?P<b>x*)$")])
    #expect(lazy.match(RequestPath(text: "axx"))?.captures["b"] == "xx")
    let search = Router([try route("re:(?P<d>[0-9]+)")])
    #expect(search.match(RequestPath(text: "a12b34"))?.captures["d"] == "12")
  }

  @Test func `a group that took no part is no capture`() throws {
    let router = Router([try route("re:^(?P<a>a)?b$")])
    #expect(router.match(RequestPath(text: "b"))?.captures.all == [])
  }

  @Test func `nested patterns stand one behind the other, and the inner capture wins`() throws {
    let router = Router([try route("o/<int:n>/", "p/<int:n>/"), try route("o/<slug:s>/", "q/")])
    #expect(router.match(RequestPath(text: "o/1/p/2/"))?.captures["n"] == "2")
    #expect(router.match(RequestPath(text: "o/x/q/"))?.route == 1)
    #expect(router.match(RequestPath(text: "o/x/p/2/")) == nil)
  }

  @Test func `an inner start means the start of what is left`() throws {
    let router = Router([try route("a/", "re:^b/$")])
    #expect(router.match(RequestPath(text: "a/b/")) != nil)
    #expect(router.match(RequestPath(text: "a/xb/")) == nil)
  }

  @Test func `the remainder is what stands below a prefix`() throws {
    let prefix = try RoutePattern.parse("docs/", as: .path, role: .prefix).get()
    let router = Router([RoutePath([prefix, .remainder])])
    #expect(router.match(RequestPath(text: "/docs/a/b.html"))?.remainder == "a/b.html")
    #expect(router.match(RequestPath(text: "/docs/"))?.remainder == "")
    #expect(router.match(RequestPath(text: "/doc")) == nil)
  }

  @Test func `a table that is too large for one automaton is cut, and matches the same`() throws {
    let routes = try (0..<40).map { try route("r\($0)/<slug:x>/") }
    let small = Router(routes, bounds: .init(states: 100, work: 100_000))
    for number in 0..<40 {
      #expect(small.match(RequestPath(text: "r\(number)/ab/"))?.route == number)
    }
    #expect(small.findings.contains(.notProved(routes: 0..<40)))
  }
}

struct SlashTests {
  private func router(_ paths: String...) throws -> Router {
    try Router(paths.map { try route($0) })
  }

  @Test(arguments: [
    ("/ws/echo", 0, "ws/echo/"), ("/bare/", 1, "bare"), ("/ws/room/a%20b", 2, "ws/room/a b/"),
  ])
  func `a path without its slash, or with one too many, is told from one that nobody knows`(
    _ target: String, _ route: Int, _ path: String
  ) throws {
    let router = try router("ws/echo/", "bare", "ws/room/<str:name>/")
    let decoded = try RequestPath.decode(target: Array(target.utf8)).get()
    let found = router.routeWithOtherSlash(decoded)
    #expect(found?.route == route)
    #expect(found?.path.text == path)
  }

  @Test(arguments: ["/ws/echo/", "/nothing", "/", "/nothing//"])
  func `a path that a route matches has no other, nor has one that none is near`(_ target: String) throws {
    let router = try router("ws/echo/", "bare")
    let decoded = try RequestPath.decode(target: Array(target.utf8)).get()
    #expect(router.routeWithOtherSlash(decoded) == nil)
  }

  @Test func `a value that a converter does not take is found, and what takes it`() throws {
    let router = Router([
      try route("ws/chat/<slug:room>/"), try route("ws/", "n/<int:number>/x/"),
      try route(#"re:^r/(?P<word>[a-z]+)$"#),
    ])
    func found(_ path: String) -> String? {
      router.routeWithOtherSegment(RequestPath(text: path)).map { "\($0.route) \($0.capture.name)" }
    }
    #expect(found("ws/chat/my room/") == "0 room")
    #expect(found("ws/chat/h\u{F6}hle/") == "0 room")
    #expect(found("ws/n/abc/x/") == "1 number")
    #expect(found("r/ABC") == "2 word")
    for path in ["ws/chat/room/", "ws/chta/room/", "ws/chat/my room", "", "/", "x"] {
      #expect(found(path) == nil, "\(path)")
    }
    #expect(found("ws/chat/" + String(repeating: " ", count: 2000) + "/") == nil)
    #expect(found(String(repeating: "a/", count: 400)) == nil)
  }
}
