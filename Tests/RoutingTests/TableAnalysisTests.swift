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
    return GroupAnalysis(try GroupTemplate.parse(template).get(), route: 0, of: router).findings()
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

  @Test func `two captures that can run together show two paths`() throws {
    let found = try findings("g_{a}_{b}", "<slug:a>/<slug:b>/")
    guard case .colliding(let first, let second, let name) = found.first else {
      Issue.record("no collision: \(found)")
      return
    }
    #expect(first != second)
    #expect(name == "g_a_a_a")
    #expect(try findings("g_{a}.{b}", "<slug:a>/<slug:b>/") == [])
  }

  @Test func `a name that is too long is no group`() throws {
    let template = try GroupTemplate.parse("chat_{room}").get()
    let room = String(repeating: "a", count: 94)
    #expect(template.name(for: Captures([.init(name: "room", value: room)])) == "chat_" + room)
    #expect(template.name(for: Captures([.init(name: "room", value: room + "a")])) == nil)
  }
}
