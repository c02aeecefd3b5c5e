import TestSupport
import Testing

@testable import Routing

struct TableAnalysisTests {
  @Test func `a hidden route names the routes that cover it together`() throws {
    let router = Router([try route("re:^[a-m]$"), try route("re:^[n-z]$"), try route("re:^[a-z]$")])
    #expect(router.findings == [.unreachable(route: 2, coveredBy: [0, 1])])
  }

  @Test func `a special route before a general one is fine, and behind it is hidden`() throws {
    #expect(Router([try route("new/"), try route("<slug:x>/")]).findings == [])
    #expect(
      Router([try route("<slug:x>/"), try route("new/")]).findings == [.unreachable(route: 1, coveredBy: [0])]
    )
  }

  @Test func `two routes that overlap show a path that both match`() throws {
    let router = Router([try route("<slug:x>/1/"), try route("a/<int:n>/")])
    #expect(router.findings == [.partlyCovered(route: 1, by: 0, example: "a/1/")])
  }

  @Test func `a leading slash matches nothing`() throws {
    #expect(Router([try route("/x/")]).findings == [.matchesNothing(route: 0)])
    #expect(Router([try route("re:^/x/$")]).findings == [.matchesNothing(route: 0)])
  }

  @Test func `a regular expression without a start shows what else it matches`() throws {
    #expect(
      Router([try route("re:ws/admin/")]).findings == [.unanchored(route: 0, example: "evil/ws/admin/")])
    #expect(Router([try route("re:^ws/admin/")]).findings == [])
    #expect(Router([try route("re:ws/admin/$")]).findings == [])
  }

  @Test(arguments: [
    (["re:^x/|ws/admin/"], "-ws/admin/"), (["re:[a-z]+/"], "-a/"),
    (["api/", "re:wsx/admin/"], "api/evil/wsx/admin/"), (["re:api/", "x/"], "evil/api/x/"),
  ])
  func `whatever a pattern matches only because it is searched for is shown`(
    _ patterns: [String], _ example: String
  ) throws {
    let path = RoutePath(
      try zip(patterns, patterns.indices).flatMap { text, index in
        try route(text, "x").patterns[0...0].map { pattern in
          guard index + 1 == patterns.count else { return pattern }
          return try route(text).patterns[0]
        }
      })
    #expect(Router([path]).findings.contains(.unanchored(route: 0, example: example)))
  }

  @Test(arguments: ["re:", "re:.*", "re:^a|^b", "re:^(?:a|b)c", #"re:\Aa"#, "re:(?s).*a?"])
  func `a pattern that matches no more without its start is no slip`(_ pattern: String) throws {
    #expect(Router([try route(pattern)]).findings == [])
  }

  @Test(arguments: [
    ("re:^v(?P<v>[0-9]+)", "x/"), ("re:^(?P<lang>[a-z]{2,3})", "1/"), ("re:^api/?", "x/"),
    ("re:^api/*", "re:^x/|^$"), ("re:^(?:a|b)/?", "re:^c"),
  ])
  func `a prefix that ends in one place, or but for slashes, is fine`(_ prefix: String, _ rest: String) throws
  {
    #expect(Router([try route(prefix, rest)]).findings == [])
  }

  @Test func `a prefix that takes what the rest needs is not`() throws {
    // Django reads "v11" and then finds no "1/".
    #expect(
      Router([try route("re:^v[0-9]+", "1/")]).findings
        == [.ambiguousPrefix(route: 0, pattern: 0, example: "v01/")])
  }

  @Test func `the longest match is not always the one that Python ends with`() throws {
    // Of four letters the first repetition takes three, and the rest fits no second one.
    let findings = Router([try route("re:^(?:a{2,3})*", "re:^x$")]).findings
    #expect(findings.contains { if case .ambiguousPrefix = $0 { true } else { false } })
  }

  @Test func `a question about a prefix that takes too long is left open`() throws {
    let findings = Router([try route("re:^(?:a?b?){300}", "x/")]).findings
    #expect(findings.contains(.open(route: 0, .prefix(pattern: 0))), "\(findings)")
  }

  @Test func `a route that hides others everywhere does not hide what they are`() throws {
    let everything = RoutePath([try route("", "x").patterns[0], .remainder])
    #expect(
      Router([everything, try route("a/"), try route("/b/")]).findings
        == [.unreachable(route: 1, coveredBy: [0]), .matchesNothing(route: 2)])
    #expect(Router([try route("a/"), everything]).findings == [])
  }

  @Test func `a prefix with two ends is shown`() throws {
    let findings = Router([try route("re:^a+", "a/")]).findings
    #expect(findings == [.ambiguousPrefix(route: 0, pattern: 0, example: "aa/")])
    #expect(Router([try route("o/<str:x>", "/y/")]).findings == [.matchesNothing(route: 0)])
    #expect(Router([try route("o/<slug:x>", "re:^$")]).findings == [])
    #expect(Router([try route("o/<str:x>/", "y/")]).findings == [])
  }
}

struct GroupAnalysisTests {
  private func findings(_ template: String, _ pattern: String) throws -> [GroupFinding] {
    let router = Router([try route(pattern)])
    return GroupAnalysis(
      try GroupPattern.parse(template: template).get(), route: 0, of: router, budget: .forAnalyses(of: 1)
    ).findings()
  }

  @Test func `captures that are always legal are proved`() throws {
    #expect(try findings("chat_{room}", "ws/<slug:room>/") == [])
    #expect(try findings("chat_{room}", #"re:^ws/(?P<room>\w+)/$"#) == [])
  }

  @Test func `a capture that can be illegal shows a path`() throws {
    #expect(
      try findings("chat_{room}", "ws/<str:room>/") == [.illegalName(capture: "room", example: "ws/café/")])
    #expect(
      try findings("chat_{room}", "re:^ws/(?P<room>[a-z ]+)/$")
        == [.illegalName(capture: "room", example: "ws/ /")])
  }

  @Test func `a capture can begin with a slash`() throws {
    #expect(
      try findings("chat{room}", "re:ws(?P<room>/[a-z]*)$")
        == [.illegalName(capture: "room", example: "ws/")])
  }

  @Test func `of two captures of one name both count where the inner need not take part`() throws {
    let router = Router([try route("<str:room>/", "re:^(?P<room>[a-z]+)?$")])
    let template = try GroupPattern.parse(template: "chat_{room}").get()
    func found(_ router: Router) -> [GroupFinding] {
      GroupAnalysis(template, route: 0, of: router, budget: .forAnalyses(of: 1)).findings()
    }
    #expect(found(router) == [.illegalName(capture: "room", example: "caf\u{E9}/")])
    #expect(found(Router([try route("<str:room>/", "<slug:room>/")])) == [])
  }

  @Test func `a path without the capture, or with an empty name, is shown`() throws {
    #expect(
      try findings("chat_{room}", #"re:ws/(?P<room>\w+)?/$"#) == [.absent(capture: "room", example: "ws//")])
    #expect(try findings("{room}", #"re:ws/(?P<room>\w*)/$"#) == [.emptyName(example: "ws//")])
    #expect(try findings("chat_{room}", #"re:ws/(?P<room>\w*)/$"#) == [])
    #expect(try findings("{room}", #"re:ws/(?:(?P<room>a)|b(?P<other>b))/$"#) != [])
  }

  @Test func `questions about groups that take too long are left open, all together`() throws {
    let pattern = "re:^ws/(?P<a>(?:(?:a?){1000}){2})-(?P<b>b)/$"
    let router = Router([try route(pattern)])
    let budget = WorkBudget(300_000)
    let time = try processorTime {
      for _ in 0..<30 {
        let template = try GroupPattern.parse(template: "{a}-{b}").get()
        let found = GroupAnalysis(template, route: 0, of: router, budget: budget).findings()
        #expect(found.contains(.collisionsNotProved))
      }
    }
    #expect(time < .seconds(60))
  }

  @Test func `two captures that can run together show two paths`() throws {
    let router = Router([try route("<slug:a>/<slug:b>/")])
    let template = try GroupPattern.parse(template: "g_{a}_{b}").get()
    let found = GroupAnalysis(template, route: 0, of: router, budget: .forAnalyses(of: 1)).findings()
    guard case .colliding(let first, let second, let name) = found.first else {
      Issue.record("no collision: \(found)")
      return
    }
    let captures = [first, second].compactMap { router.match(RequestPath(text: $0))?.captures }
    #expect(captures.count == 2 && captures[0] != captures[1])
    #expect(captures.map { template.name(for: $0) } == [name, name])
    #expect(try findings("g_{a}.{b}", "<slug:a>/<slug:b>/") == [])
  }

  /// None of these needs the separator inside a capture, which is where one would look first.
  @Test(arguments: [
    ("{a}{b}", "<int:a>/<int:b>/", true),
    ("{a}{b}", "<int:a>/<uuid:b>/", false),
    ("{a}{b}", "<uuid:a>/<uuid:b>/", false),
    ("{a}-{b}", "<int:a>/<uuid:b>/", false),
    ("{a}_{b}", "re:^(?P<a>x|x_y)/(?P<b>z|y_z)/$", true),
    ("{a}_{b}", "re:^(?P<a>x|x_y)/(?P<b>z|w_z)/$", false),
    ("{a}{b}", "re:^(?P<a>[a-f]+)/(?P<b>[0-9]+)/$", false),
    ("{a}{b}", "re:^(?P<a>[a-f]+)/(?P<b>[f-k]+)/$", true),
    ("{a}.{b}.{c}", "<slug:a>/<slug:b>/<slug:c>/", false),
    ("{a}.{b}-{c}", "<slug:a>/<slug:b>/<slug:c>/", true),
    ("{a}.{a}", "<slug:a>/<slug:b>/", false),
  ]) func `collisions are decided`(_ template: String, _ pattern: String, _ collide: Bool) throws {
    let found = try findings(template, pattern)
    #expect(!found.contains(.collisionsNotProved))
    let hasCollision = found.contains { if case .colliding = $0 { true } else { false } }
    #expect(hasCollision == collide, "\(found)")
  }

  @Test func `leading zeros are no collision, as the value has none`() throws {
    #expect(try findings("{a}.{b}", "<int:a>/<int:b>/") == [])
  }

  @Test func `a question that stays open is said to`() throws {
    // The two values of a are one in every path, which two readings of a name need not be.
    #expect(try findings("{a}{b}{a}", "<int:a>/<int:b>/") != [])
    let hidden = Router([try route("re:^[^a-z]+/$"), try route("<str:a>/")])
    let template = try GroupPattern.parse(template: "{a}").get()
    #expect(GroupAnalysis(template, route: 1, of: hidden, budget: .forAnalyses(of: 2)).findings() != [])
  }

  @Test func `a name that is too long is no group`() throws {
    let template = try GroupPattern.parse(template: "chat_{room}").get()
    let room = String(repeating: "a", count: 94)
    #expect(template.name(for: Captures([.init(name: "room", value: room)])) == "chat_" + room)
    #expect(template.name(for: Captures([.init(name: "room", value: room + "a")])) == nil)
  }
}
