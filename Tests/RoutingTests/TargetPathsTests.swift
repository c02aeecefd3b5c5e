import Testing

@testable import Routing

private func path(_ text: String, isPrefix: Bool = false) throws -> RoutePath {
  let pattern = try RoutePattern.parse(text, as: .path, role: isPrefix ? .prefix : .endpoint).get()
  return RoutePath([pattern] + (isPrefix ? [.remainder] : []))
}

private func reach(
  _ wanted: [TargetPaths.Part], of route: String, through proxies: [String],
  to target: [TargetPaths.Part]? = nil
) throws -> Router.Reach {
  let router = Router(try proxies.map { try path($0, isPrefix: true) })
  let last = proxies.count - 1
  let built = try target.map { try #require(TargetPaths($0 + [.remainder], of: router.routes[last])) }
  return router.reach(
    of: try #require(TargetPaths(wanted, of: try path(route))), through: last, to: built,
    budget: .forAnalyses(of: proxies.count))
}

struct TargetPathsTests {
  @Test func `a proxy of everything reaches every path`() throws {
    #expect(
      try reach([.literal("/ws/"), .place("n")], of: "a/<int:n>/", through: [""]) == .shown(path: "ws/0"))
    #expect(try reach([.literal("/")], of: "a/", through: [""]) == .shown(path: ""))
  }

  @Test func `another path is not reached, and neither is one that an earlier route answers for`() throws {
    #expect(try reach([.literal("/ws/")], of: "a/", through: ["api/"]) == .never)
    #expect(try reach([.literal("/ws/"), .place("n")], of: "a/<int:n>/", through: ["ws/", ""]) == .never)
    let part = try reach([.literal("/ws/"), .place("n")], of: "a/<slug:n>/", through: ["ws/<int:x>", ""])
    #expect(part == .shown(path: "ws/-"))
  }

  @Test func `a proxy with a path of its own is followed back to the client's path`() throws {
    let api: [TargetPaths.Part] = [.literal("/v"), .place("n"), .literal("/")]
    #expect(
      try reach([.literal("/v7/hook")], of: "a/", through: ["api/<int:n>/"], to: api)
        == .shown(path: "api/7/hook"))
    #expect(try reach([.literal("/vx/hook")], of: "a/", through: ["api/<int:n>/"], to: api) == .never)
    #expect(
      try reach([.literal("/v7/hook")], of: "a/", through: ["api/<int:n>/hook", "api/<int:n>/"], to: api)
        == .shown(path: "api/7//hook"))
  }

  @Test func `a place without a capture makes no paths`() throws {
    #expect(TargetPaths([.place("n")], of: try path("a/")) == nil)
    #expect(TargetPaths([.remainder], of: try path("a/")) == nil)
  }
}

struct RouteExampleTests {
  @Test func `an example has values that a person might write`() throws {
    let patterns = ["a/<int:n>/<slug:s>/", "u/<uuid:id>/", "r/<path:rest>", "fixed/"]
    let router = Router(try patterns.map { try path($0) })
    let found = patterns.indices.map { router.example(ofRoute: $0, budget: .forAnalyses(of: 4))?.text }
    #expect(found == ["a/1/a/", "u/00000000-0000-0000-0000-000000000000/", "r/a", "fixed/"])
  }

  @Test func `it is a path that this route answers`() throws {
    let router = Router(try ["a/1/", "a/<int:n>/"].map { try path($0) })
    let found = try #require(router.example(ofRoute: 1, budget: .forAnalyses(of: 2)))
    #expect(router.match(found)?.route == 1)
  }
}
