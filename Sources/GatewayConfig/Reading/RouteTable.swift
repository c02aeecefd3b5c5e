import Routing

/// The flattened routes of one protocol, compiled.
struct RouteTable {
  let routes: [ReadRoute]
  let router: Router

  init(routes: [ReadRoute]) {
    self.routes = routes
    router = Router(routes.map(\.path))
  }

  /// Reports the findings of the analysis at the places of the routes.
  func report(into reading: Reading) {
    for finding in router.findings { report(finding, reading) }
    reportOverlaps(reading)
    let budget = WorkBudget.forAnalyses(of: routes.count)
    for (index, route) in routes.enumerated() {
      for group in route.groups {
        for finding in GroupAnalysis(group.value, route: index, of: router, budget: budget).findings() {
          report(finding, of: route, at: group.range, reading)
        }
      }
    }
    reportSameNames(reading)
  }

  private func reportOverlaps(_ reading: Reading) {
    var overlaps: [Int: [(by: Int, example: String)]] = [:]
    for case .partlyCovered(let route, let by, let example) in router.findings {
      overlaps[route, default: []].append((by, example))
    }
    for (route, found) in overlaps {
      let who = found.count == 1 ? "an earlier route answers" : "\(found.count) earlier routes answer"
      reading.findings.warning(
        .partlyCoveredRoute, "\(who) some of the paths of this route", at: routes[route].range,
        hint: "for example \"/\(found[0].example)\"",
        related: found.prefix(5).map { .init("answers \"/\($0.example)\"", at: routes[$0.by].range) })
    }
  }

  private func report(_ finding: RouteFinding, _ reading: Reading) {
    let route = routes[finding.route]
    switch finding {
    case .unreachable(_, let coveredBy): reportUnreachable(route, coveredBy, reading)
    // One finding for each route, however many earlier routes cover parts of it.
    case .partlyCovered: break
    case .matchesNothing:
      reading.findings.error(
        .impossiblePattern, "no path can match this pattern", at: route.range, hint: route.hintOfImpossible)
    case .unanchored(_, let example):
      reading.findings.warning(
        .unanchoredPattern, "the pattern also matches \"/\(example)\"", at: route.range,
        hint: "begin it with \"^\"")
    case .ambiguousPrefix(_, let pattern, let example):
      reading.findings.error(
        .ambiguousPrefix, "\(route.name(ofPattern: pattern)) can end in two places of \"/\(example)\"",
        at: route.patternRanges[pattern], hint: Self.prefixHint)
    case .tooComplex:
      reading.findings.error(
        .unsupportedPattern, "the pattern is too large to compile", at: route.range,
        hint: "make its repetitions smaller")
    case .open(_, let question): report(question, of: route, reading)
    case .notProved(let indices):
      reading.findings.warning(
        .notProved,
        "\(indices.count) routes are too many to analyse together: Sluice could not decide whether they hide each other",
        at: route.range)
    }
  }

  private func reportUnreachable(_ route: ReadRoute, _ coveredBy: [Int], _ reading: Reading) {
    let hint =
      coveredBy.contains { routes[$0].path == route.path }
      ? "remove one of the two"
      : "move it before the \(coveredBy.count == 1 ? "route that answers" : "routes that answer")"
    reading.findings.error(
      .unreachableRoute, "this route can never be reached", at: route.range, hint: hint,
      related: coveredBy.prefix(5).map { .init("answers first", at: routes[$0].range) })
  }

  /// Reports that a question about a route was not decided.
  private func report(_ question: RouteFinding.OpenQuestion, of route: ReadRoute, _ reading: Reading) {
    func tell(_ what: String, at range: SourceRange, hint: String? = nil, related: [Finding.Related] = []) {
      reading.findings.warning(
        .notProved, "Sluice could not decide whether \(what)", at: range, hint: hint, related: related)
    }
    switch question {
    case .anchoring:
      tell("the pattern also matches in the middle of a path", at: route.range, hint: "begin it with \"^\"")
    case .prefix(let pattern):
      tell(
        "\(route.name(ofPattern: pattern)) can end in two places", at: route.patternRanges[pattern],
        hint: Self.prefixHint)
    case .overlap(let other):
      tell(
        "an earlier route answers some of the paths of this route", at: route.range,
        related: [.init("the earlier route", at: routes[other].range)])
    }
  }

  private static let prefixHint =
    "end the outer pattern in a character that it does not contain, such as \"/\""

  private func report(_ finding: GroupFinding, of route: ReadRoute, at range: SourceRange, _ reading: Reading)
  {
    switch finding {
    case .unknownCapture(let name):
      reading.reportCapture(name, known: route.path.captureNames, .invalidGroup, at: range)
    case .illegalName(let capture, let example):
      reading.findings.error(
        .illegalGroupName,
        "at \"/\(example)\" the group name is not valid: only letters, digits, \".\", \"_\" and \"-\" are allowed",
        at: range, hint: "make \"\(capture)\" a slug: <slug:\(capture)>")
    case .absent(let capture, let example):
      reading.findings.error(
        .illegalGroupName, "at \"/\(example)\" nothing is captured as \"\(capture)\", so there is no group",
        at: range, hint: "change the pattern so that it always captures \"\(capture)\"")
    case .emptyName(let example):
      reading.findings.error(
        .illegalGroupName, "at \"/\(example)\" the group name is empty", at: range,
        hint: "put text before the capture, or make it capture at least one character")
    case .colliding(let first, let second, let name):
      reading.findings.warning(
        .collidingGroups, "\"/\(first)\" and \"/\(second)\" share the group \"\(name)\"", at: range,
        hint: "put a \".\" between captures that cannot contain one")
    case .legalNotProved(let capture):
      reading.findings.warning(
        .notProved, "Sluice could not decide whether \"\(capture)\" is always valid in a group name",
        at: range, hint: "make \"\(capture)\" a slug: <slug:\(capture)>")
    case .emptyNotProved:
      reading.findings.warning(
        .notProved, "Sluice could not decide whether the group name can be empty", at: range,
        hint: "put text before the capture, or make it capture at least one character")
    case .collisionsNotProved:
      reading.findings.warning(
        .notProved, "Sluice could not decide whether two paths with different captures share a group",
        at: range, hint: "put a \".\" between captures that cannot contain one")
    }
  }

  private func reportSameNames(_ reading: Reading) {
    // A route without a name has that of its path.
    let unnamed = routes.filter { $0.givenName == nil }
    var seen = Dictionary(unnamed.map { ($0.path.text, $0.range) }) { first, _ in first }
    for route in routes {
      guard let name = route.givenName else { continue }
      if let first = seen[name.value] {
        reading.findings.error(
          .duplicateName, "two routes have the name \"\(name.value)\"", at: name.range,
          related: [.init("the first one", at: first)])
      } else {
        seen[name.value] = name.range
      }
    }
  }
}

extension ReadRoute {
  /// What may be the reason that no path matches.
  fileprivate var hintOfImpossible: String? {
    if path.patterns.contains(where: { $0.text.hasPrefix("r\"") || $0.text.hasPrefix("r'") }) {
      return "remove Python's r before the quotes"
    }
    guard path.patterns.contains(where: { $0.text.drop { $0 == "^" }.hasPrefix("/") }) else { return nil }
    return "begin the path without \"/\": Sluice removes leading slashes before it tries the routes"
  }
}
