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
    case .unreachable(_, let coveredBy):
      let covering = coveredBy.prefix(5).map { Finding.Related("answers first", at: routes[$0].range) }
      let isDoubled = coveredBy.contains { routes[$0].path == route.path }
      let hint =
        isDoubled
        ? "remove one of the two"
        : coveredBy.count == 1
          ? "move it before the route that answers" : "move it before the routes that answer"
      reading.findings.error(
        .unreachableRoute, "this route can never be reached", at: route.range, hint: hint, related: covering)
    // One finding for each route, however many earlier routes cover parts of it.
    case .partlyCovered: break
    case .matchesNothing:
      let startsWithSlash = route.path.patterns.contains { $0.text.drop { $0 == "^" }.hasPrefix("/") }
      let isPython = route.path.patterns.contains { $0.text.hasPrefix("r\"") || $0.text.hasPrefix("r'") }
      var hint: String?
      if startsWithSlash {
        hint = "begin the path without \"/\": Sluice removes leading slashes before it tries the routes"
      }
      if isPython { hint = "remove Python's r before the quotes" }
      reading.findings.error(
        .impossiblePattern, "no path can match this pattern", at: route.range, hint: hint)
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
    case .open(_, .anchoring):
      reading.findings.warning(
        .notProved, "Sluice could not decide whether the pattern also matches in the middle of a path",
        at: route.range,
        hint: "begin it with \"^\"")
    case .open(_, .prefix(let pattern)):
      reading.findings.warning(
        .notProved, "Sluice could not decide whether \(route.name(ofPattern: pattern)) can end in two places",
        at: route.patternRanges[pattern], hint: Self.prefixHint)
    case .open(_, .overlap(let other)):
      reading.findings.warning(
        .notProved,
        "Sluice could not decide whether an earlier route answers some of the paths of this route",
        at: route.range, related: [.init("the earlier route", at: routes[other].range)])
    case .notProved(let indices):
      reading.findings.warning(
        .notProved,
        "\(indices.count) routes are too many to analyse together: Sluice could not decide whether they hide each other",
        at: route.range)
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
        at: range,
        hint: "change the pattern so that it always captures \"\(capture)\"")
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
        at: range,
        hint: "make \"\(capture)\" a slug: <slug:\(capture)>")
    case .emptyNotProved:
      reading.findings.warning(
        .notProved, "Sluice could not decide whether the group name can be empty", at: range,
        hint: "put text before the capture, or make it capture at least one character")
    case .collisionsNotProved:
      reading.findings.warning(
        .notProved, "Sluice could not decide whether two paths with different captures share a group",
        at: range,
        hint: "put a \".\" between captures that cannot contain one")
    }
  }

  private func reportSameNames(_ reading: Reading) {
    var seen: [String: SourceRange] = [:]
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
