@testable import Routing

// A table of routes answers as its expressions mean, compiled into one automaton or into many, and what is said about it holds.
//
// Input: patterns, each behind a letter (p and r: a route by a path or a regular expression; P and R: the prefix of the next
// route), and at last the path of a request; a zero byte between them. The reference is that of the unit tests.
func fuzz(_ input: [UInt8]) {
  let pieces = input.split(separator: 0, omittingEmptySubsequences: false)
  guard let last = pieces.last else { return }
  for piece in pieces { checkNotations(Array(piece)) }
  let routes = routes(pieces.dropLast())
  guard !routes.isEmpty else { return }
  // The usual bounds allow for seconds, and many more under the sanitizer.
  let whole = Router(routes, bounds: .init(states: 4000, work: 200_000), analyses: WorkBudget(100_000))
  check(whole.findings, of: routes)
  guard last.count <= 32, let text = String(validating: last, as: UTF8.self) else { return }
  check(whole, text, routes)
  checkComparison(whole, routes, text)
  guard !input.count.isMultiple(of: 4) else { return }
  check(Router(routes, bounds: .init(states: 12, work: 4000), analyses: WorkBudget(1000)), text, routes)
}

private func routes(_ pieces: some Sequence<ArraySlice<UInt8>>) -> [RoutePath] {
  var routes: [RoutePath] = []
  var prefixes: [RoutePattern] = []
  for piece in pieces where routes.count < 6 {
    let text = String(decoding: piece.dropFirst().prefix(64), as: UTF8.self)
    let kind: (PatternSyntax, RoutePattern.Role)
    switch piece.first {
    case UInt8(ascii: "p"): kind = (.path, .endpoint)
    case UInt8(ascii: "r"): kind = (.regex, .endpoint)
    case UInt8(ascii: "P"): kind = (.path, .prefix)
    case UInt8(ascii: "R"): kind = (.regex, .prefix)
    default: continue
    }
    switch RoutePattern.parse(text, as: kind.0, role: kind.1) {
    case .failure(let fault):
      expect(fault.range.upperBound <= text.utf8.count, "\(fault) is not within \(text.debugDescription)")
    case .success(let pattern) where kind.1 == .prefix:
      if prefixes.count < 3 { prefixes.append(pattern) }
    case .success(let pattern):
      routes.append(RoutePath(prefixes + [pattern]))
      prefixes = []
    }
  }
  return routes
}

// MARK: - Matching

private func check(_ router: Router, _ text: String, _ routes: [RoutePath]) {
  let path = RequestPath(text: text)
  let match = router.match(path)
  // A route that is too large matches nothing, and that is said.
  let compiled = routes.indices.filter { !isTooComplex($0, router.findings) }
  let expected = compiled.first { Reference(text).matches(routes[$0]) }
  expect(
    match?.route == expected, "\(text.debugDescription) leads to \(name(match?.route)), not \(name(expected))"
  )
  guard let match else { return }
  let names = Set(routes[match.route].captureNames)
  for capture in match.captures.all {
    expect(names.contains(capture.name), "no capture is called \(capture.name)")
    expect(isPart(capture.value, of: path.bytes), "the capture \(capture.value) is not in the path")
  }
}

private func isTooComplex(_ route: Int, _ findings: [RouteFinding]) -> Bool {
  findings.contains { if case .tooComplex(let one) = $0 { one == route } else { false } }
}

private func name(_ route: Int?) -> String { route.map { "route \($0)" } ?? "none" }

private func isPart(_ value: String, of path: [UInt8]) -> Bool {
  let bytes = Array(value.utf8)
  return bytes.isEmpty || bytes == [UInt8(ascii: "0")] || path.firstRange(of: bytes) != nil
}

/// What is said about the routes is true of the examples that are given.
private func check(_ findings: [RouteFinding], of routes: [RoutePath]) {
  for finding in findings {
    guard case .partlyCovered(let route, let by, let example) = finding, example.utf8.count <= 64 else {
      continue
    }
    expect(
      Reference(example).matches(routes[route]), "\(example.debugDescription) is no example of route \(route)"
    )
    expect(Reference(example).matches(routes[by]), "\(example.debugDescription) does not lead to route \(by)")
  }
}

// MARK: - Two tables

/// A table and the same one without its first route and with its last one in front: every pair of routes that a path leads to is listed,
/// and what is said of captures holds.
private func checkComparison(_ old: Router, _ routes: [RoutePath], _ text: String) {
  let edited = routes.suffix(1) + routes.dropFirst().dropLast()
  let new = Router(Array(edited), bounds: .init(states: 4000, work: 200_000), analyses: WorkBudget(10_000))
  let comparison = TableComparison(old, new, budget: WorkBudget(200_000))
  func pair(_ path: String) -> [Int?] {
    [old, new].map { $0.match(RequestPath(text: path))?.route }
  }
  for part in comparison.parts {
    expect(
      pair(part.example) == [part.old, part.new], "\(part.example.debugDescription) is no example of \(part)")
  }
  let found = pair(text)
  guard comparison.isComplete, found != [nil, nil] else { return }
  guard let part = comparison.parts.first(where: { [$0.old, $0.new] == found }) else {
    return expect(false, "\(text.debugDescription) leads to \(found), which is not listed")
  }
  guard let one = part.old, let other = part.new else { return }
  let names = Set(old.routes[one].captureNames).intersection(new.routes[other].captureNames).sorted()
  let captures = CaptureComparison(old, new, part, budget: WorkBudget(50_000))
  guard captures.agreement(on: names.map { (old: $0, new: $0) }) == .same else { return }
  let values = [old, new].map { $0.match(RequestPath(text: text))?.captures }
  expect(names.allSatisfy { values[0]?[$0] == values[1]?[$0] }, "captures of \(text.debugDescription) differ")
}

// MARK: - Other notations

private func checkNotations(_ bytes: [UInt8]) {
  if case .success(let path) = RequestPath.decode(target: bytes) {
    expect(path.bytes.first != UInt8(ascii: "/"), "a path with a leading slash")
    expect(String(validating: path.bytes, as: UTF8.self) != nil, "a path that is not UTF-8")
  }
  let text = String(decoding: bytes, as: UTF8.self)
  switch GroupPattern.parse(template: text) {
  case .success(let template):
    expect(template.text.utf8.elementsEqual(text.utf8), "\(text) became \(template.text)")
  case .failure(let fault):
    expect(fault.range.upperBound <= text.utf8.count, "\(fault) is not within \(text)")
  }
  switch GroupPattern.parse(text) {
  case .success(let pattern):
    expect(pattern.text.utf8.elementsEqual(text.utf8), "\(text) became \(pattern.text)")
    _ = pattern.matches(String(text.prefix(99)))
  case .failure(let fault):
    expect(fault.range.upperBound <= text.utf8.count, "\(fault) is not within \(text)")
  }
}
