import TestSupport
import Testing

@testable import Routing

private typealias Part = TableComparison.Part

private func router(_ patterns: [String]) throws -> Router {
  Router(try patterns.map { try route($0) })
}

private func route(_ text: String) throws -> RoutePath {
  // "|" separates the patterns around a route from its own.
  let parts = text.split(separator: "|", omittingEmptySubsequences: false)
  return RoutePath(
    try parts.enumerated().map { number, part in
      let isRegex = part.hasPrefix("re:")
      return try RoutePattern.parse(
        String(isRegex ? part.dropFirst(3) : part), as: isRegex ? .regex : .path,
        role: number == parts.count - 1 ? .endpoint : .prefix
      ).get()
    })
}

private func comparison(_ old: [String], _ new: [String], work: Int = 1_000_000) throws -> TableComparison {
  TableComparison(try router(old), try router(new), budget: WorkBudget(work))
}

struct TableComparisonTests {
  @Test(arguments: [
    (["a/"], ["a/"]), (["a/", "b/"], ["b/", "a/"]), (["ws/<slug:x>/"], ["re:^ws/(?P<x>[-\\w]+)/\\Z"]),
    (["ws/|<slug:x>/", "ws/|b/"], ["ws/|b/", "ws/|<slug:x>/"]),
  ])
  func `what answers the same paths is one part for each route`(_ old: [String], _ new: [String]) throws {
    let comparison = try comparison(old, new)
    #expect(comparison.isComplete)
    #expect(comparison.parts.allSatisfy { $0.old != nil && $0.new != nil })
    #expect(comparison.parts.count <= old.count + 1)
  }

  @Test func `added, removed and moved paths are parts with the shortest example`() throws {
    let comparison = try comparison(["a/", "c/<str:x>/"], ["a/", "b/<int:n>/", "c/<slug:x>/"])
    #expect(
      comparison.parts == [
        Part(old: 0, new: 0, example: "a/"), Part(old: nil, new: 1, example: "b/1/"),
        Part(old: 1, new: 2, example: "c/a/"), Part(old: 1, new: nil, example: "c/!/"),
      ])
  }

  @Test func `a route in front takes paths from the one behind it`() throws {
    let comparison = try comparison(["<slug:x>/"], ["new/", "<slug:x>/"])
    #expect(
      comparison.parts == [Part(old: 0, new: 0, example: "new/"), Part(old: 0, new: 1, example: "a/")])
  }

  @Test func `a table without routes, and two of them`() throws {
    #expect(try comparison([], ["a/"]).parts == [Part(old: nil, new: 0, example: "a/")])
    #expect(try comparison(["a/"], []).parts == [Part(old: 0, new: nil, example: "a/")])
    let empty = try comparison([], [])
    #expect(empty.parts.isEmpty && empty.isComplete)
  }

  @Test func `what only unreadable paths lead to is a part, too`() throws {
    let parts = try comparison(["re:^[a\\n]\\Z"], ["re:^a\\Z"]).parts
    #expect(parts == [Part(old: 0, new: 0, example: "a"), Part(old: 0, new: nil, example: "\n")])
  }

  @Test func `no part without a path that is short enough`() throws {
    let long = "re:^(?:a{64}){64}b?\\Z"
    #expect(try comparison([], [long]).parts.count == 1)
    #expect(try comparison(["re:^(?:a{64}){64}\\Z"], [long]).parts.count == 1)
  }

  @Test func `a budget that is used up is said`() throws {
    #expect(try !comparison(["<slug:x>/<slug:y>/"], ["<str:x>/"], work: 5).isComplete)
  }

  @Test func `a split table is said`() throws {
    let routes = try [route("a/"), route("b/")]
    let split = Router(routes, bounds: .init(states: 3, work: 100_000))
    #expect(!TableComparison(split, Router(routes), budget: WorkBudget(1_000_000)).isComplete)
  }
}

struct CaptureComparisonTests {
  private func agreement(
    _ old: String, _ new: String, _ names: [(String, String)] = [("x", "x")]
  ) throws -> CaptureAgreement {
    let (old, new) = (try router([old]), try router([new]))
    let parts = TableComparison(old, new, budget: WorkBudget(1_000_000)).parts
    let part = try #require(parts.first { $0.old != nil && $0.new != nil })
    return CaptureComparison(old, new, part, budget: WorkBudget(1_000_000)).agreement(
      on: names.map { (old: $0.0, new: $0.1) })
  }

  @Test(arguments: [
    ("ws/<slug:x>/", "ws/<slug:x>/"), ("ws/<slug:x>/", "ws/<str:x>/"), ("ws/|<slug:x>/", "ws/<slug:x>/"),
    ("ws/|<path:x>", "ws/|<path:x>"), ("ws/<slug:x>/", "re:^ws/(?P<x>\\w+)/$"),
    ("<str:x>/<str:y>/", "<str:x>/a/"),
    ("ws/|<str:x>", "ws/|re:^(?P<x>[^/]+)$"), ("<uuid:x>/", "<slug:x>/"), ("<int:x>/", "<int:x>/|re:^$"),
    ("ws/|<path:x>/e", "re:^ws/|re:^(?P<x>.+)/e$"),
  ])
  func `captures at the same places are the same`(_ old: String, _ new: String) throws {
    #expect(try agreement(old, new) == .same)
  }

  @Test(arguments: [
    ("<str:x>/<str:y>/", "<str:y>/<str:x>/"), ("ws/<slug:x>/", "<slug:x>/a/"),
    ("re:^(?P<x>a)?b", "re:^(?P<x>a?)b"), ("re:^(?P<x>a+?)a*$", "re:^(?P<x>a+)a*$"),
    ("ws/<slug:x>/", "ws/a/"),
  ])
  func `captures at other places are shown`(_ old: String, _ new: String) throws {
    if new == "ws/a/" {
      // A capture that is not there has no place.
      #expect(try agreement(old, new) == .open)
      return
    }
    guard case .different(let example) = try agreement(old, new) else {
      Issue.record("\(old) and \(new) do not differ")
      return
    }
    let (one, other) = (try router([old]), try router([new]))
    let path = RequestPath(text: example)
    let values = try [one, other].map { try #require($0.match(path)).captures["x"] }
    #expect(values[0] != values[1])
  }

  @Test func `a capture may have another name`() throws {
    #expect(try agreement("ws/<slug:x>/", "ws/<slug:y>/", [("x", "y")]) == .same)
    #expect(try agreement("<str:x>/<str:y>/", "<str:y>/<str:x>/", [("x", "y"), ("y", "x")]) == .same)
    #expect(try agreement("<str:x>/<str:y>/", "<str:y>/<str:z>/", [("x", "y"), ("y", "z")]) == .same)
  }

  @Test func `zeros before a number make a difference that is not about places`() throws {
    #expect(try agreement("<int:x>/", "<slug:x>/") == .open)
  }
}

struct NameWideningTests {
  private func widening(_ old: [String], _ new: [String]) throws -> NameWidening {
    NameWidening(
      from: try old.map { try GroupPattern.parse($0).get().withUser },
      to: try new.map { try GroupPattern.parse($0).get().withUser }, budget: WorkBudget(1_000_000))
  }

  @Test(arguments: [
    (["a"], ["a"]), (["*"], ["a", "b_*"]), (["chat_*"], ["chat_{user}", "chat_a_*"]), (["a", "b"], ["b"]),
    (["chat_{user}*"], ["chat_{user}"]), (["user_{user}"], ["user_{user}"]), (["a*", "*"], ["b*"]),
  ])
  func `fewer names are no widening`(_ old: [String], _ new: [String]) throws {
    #expect(try widening(old, new) == .none)
  }

  @Test(arguments: [
    (["a"], ["b"], "b"), (["chat_a"], ["chat_*"], "chat_"),
    (["a_{user}"], ["a_{user}", "b_{user}"], "b_{user}"),
    (["chat_{user}"], ["chat_*"], "chat_"), (["chat_{user}"], ["chat_{room}"], "chat_{room}"),
  ])
  func `a name that is new is shown`(_ old: [String], _ new: [String], _ name: String) throws {
    #expect(try widening(old, new) == .shown(name: name))
  }
}
