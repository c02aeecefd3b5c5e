import Routing

/// The context for reading all routes of a file.
final class RouteContext {
  let reading: Reading
  let apps: InstalledApps
  /// The aliases of the channel layers, including those that could not be read; nil if they are not known.
  let layers: [String]?
  /// For each alias, the alias that represents all layers with the same groups.
  let groupSpaces: [String: String]
  /// The names outside of applications that a route may refer to.
  let auth: AuthSettings
  /// `limits.handshake`
  let handshake: Duration
  /// Whether it was reported that the layer `default` has a misspelt alias.
  var hasReportedLayer = false
  private var included: Set<Include> = []
  private var routeCount = 0

  /// A local app with the outer patterns of an include.
  private struct Include: Hashable {
    var app: String
    var kind: RouteKind
  }

  /// Routes of the whole configuration, counting each include anew, because files that include each other can produce any
  /// number of routes.
  private static let mostRoutes = 100_000

  init(
    reading: Reading, apps: InstalledApps, layers: [String]?, groupSpaces: [String: String],
    auth: AuthSettings, handshake: Duration
  ) {
    self.reading = reading
    self.apps = apps
    self.layers = layers
    self.groupSpaces = groupSpaces
    self.auth = auth
    self.handshake = handshake
  }

  /// Whether there are too many routes. The routes read until then are not analysed.
  var hasTooManyRoutes: Bool { routeCount > Self.mostRoutes }

  /// Counts one more route.
  ///
  /// - Returns: false if there are too many, which is reported once.
  func countRoute(at range: SourceRange) -> Bool {
    guard routeCount < Self.mostRoutes else {
      if routeCount == Self.mostRoutes {
        routeCount += 1
        reading.findings.error(
          .yamlLimit, "there are more than \(Self.mostRoutes) routes, counting each include anew",
          at: range)
      }
      return false
    }
    routeCount += 1
    return true
  }

  func remember(include app: String, _ kind: RouteKind) {
    included.insert(Include(app: app, kind: kind))
  }

  /// Checks all installed apps, whether a route uses them or not.
  func checkApps() {
    let settings = RouteSettings(auth: auth)
    for app in apps.local {
      for preset in app.presets { ConsumerReader(context: self, captures: nil, isPreset: true).check(preset) }
      for (kind, node) in [(RouteKind.webSocket, app.webSocketPatterns), (.http, app.httpPatterns)] {
        guard let node, !included.contains(Include(app: app.name, kind: kind)) else { continue }
        RouteListReader(context: self, kind: kind).read(node, settings, [])
      }
    }
  }
}

/// The settings that routes inherit from the mappings around them.
struct RouteSettings {
  var origins = OriginPolicy.sameHost
  var limits = SessionLimits()
  var compression: CompressionConfiguration?
  var auth = AuthSettings()

  /// Whether clients have to authenticate.
  var requiresAuthentication: Bool { auth.auth != nil || auth.isUnknown }

  /// Reads the `auth`, `allowed_hosts`, `limits` and `compression` that hold for the routes of a mapping.
  mutating func read(_ mapping: MappingCursor, _ kind: RouteKind) {
    auth.read(mapping)
    guard kind == .webSocket else { return readForStreams(mapping) }
    if let node = mapping.value("allowed_hosts") { readHosts(node, mapping.reading) }
    limits = LimitsReader.read(mapping.value("limits"), over: limits, mapping.reading)
    compression = CompressionReader.read(mapping.value("compression"), over: compression, mapping.reading)
  }

  /// Among HTTP routes only those with `events` have them, and those with `publish` have `allowed_hosts`. They may also be set
  /// for several such routes together.
  private mutating func readForStreams(_ mapping: MappingCursor) {
    let isAround = ["routes", "include"].contains(where: mapping.has)
    guard isAround || ["events", "publish"].contains(where: mapping.has) else { return }
    if let node = mapping.value("allowed_hosts") { readHosts(node, mapping.reading) }
    guard isAround || mapping.has("events") else { return }
    limits = LimitsReader.readForStreams(mapping.value("limits"), over: limits, mapping.reading)
  }

  private mutating func readHosts(_ node: Node, _ reading: Reading) {
    guard let hosts = reading.words(node, "\"allowed_hosts\"") else { return }
    if hosts.isEmpty {
      reading.findings.error(
        .invalidValue, "\"allowed_hosts\" is empty, so no client could connect", at: node.range,
        hint: "name the hosts, or remove the key: then a page must come from the same host")
    }
    for host in hosts {
      guard let fault = OriginPolicy.fault(of: host.value) else { continue }
      reading.findings.error(
        .invalidValue, "\"\(host.value)\": \(fault.message)", at: host.range, hint: fault.hint)
    }
    origins = .patterns(hosts.map { $0.value.lowercased() })
  }
}

package enum RouteKind: Sendable {
  case http
  case webSocket

  package var key: String {
    switch self {
    case .http: "http"
    case .webSocket: "websocket"
    }
  }

  /// The kind of mapping that a route is.
  var place: KeyPlace {
    switch self {
    case .http: .httpRoute
    case .webSocket: .webSocketRoute
    }
  }

  /// The kind of mapping that has `routes`, and settings for all of them.
  var blockPlace: KeyPlace {
    switch self {
    case .http: .httpRoutes
    case .webSocket: .webSocketRoutes
    }
  }

  /// "a websocket route"
  var routeName: String { place.what }
}

/// One entry of `applications`.
struct ApplicationReader {
  let context: RouteContext
  /// The settings of the server.
  let settings: RouteSettings

  func read(_ entry: Node.Entry) -> ApplicationConfiguration {
    var http = RouteTable(routes: [])
    var webSocket = RouteTable(routes: [])
    let errors = context.reading.findings.errorCount
    if let mapping = MappingCursor(entry.value, .application, context.reading) {
      http = read(mapping.value("http"), .http)
      webSocket = read(mapping.value("websocket"), .webSocket)
      mapping.finish()
      if http.routes.isEmpty, webSocket.routes.isEmpty, context.reading.findings.errorCount == errors,
        !context.hasTooManyRoutes
      {
        context.reading.findings.error(
          .missingKey, "the application \"\(entry.key.value)\" has no routes", at: entry.key.range,
          hint: "add a list under \"websocket\"")
      }
    }
    var groups = RouteGroups.all(of: webSocket, .webSocket) + RouteGroups.all(of: http, .http)
    for number in groups.indices {
      let alias = groups[number].layer
      groups[number].use.layer = context.groupSpaces[alias] ?? alias
    }
    reportUnmet(groups)
    IsolationReport(groups: groups, reading: context.reading).report(webSocket.routes + http.routes)
    return ApplicationConfiguration(
      name: entry.key.value, httpRoutes: http.routes.compactMap(\.http), httpRouter: http.router,
      webSocketRoutes: webSocket.routes.compactMap(\.webSocket), webSocketRouter: webSocket.router,
      routeGroups: groups)
  }

  /// Reports patterns of `publish` that fit no group of a route, where only what joins their words differs from one.
  private func reportUnmet(_ groups: [RouteGroups]) {
    // Beyond this, every pattern would be compared with too many groups.
    guard groups.count < 10_000 else { return }
    for own in groups where own.key == .publish {
      let text = own.use.pattern.text
      let start = Self.literalStart(of: text)
      let starts = groups.filter { $0.key != .publish && $0.layer == own.layer }.map {
        Self.literalStart(of: $0.use.pattern.text)
      }
      let isRegex =
        text.hasSuffix(".*") && starts.contains(String(start.dropLast()))
        && !starts.contains { $0.hasPrefix(start) }
      let isMet = starts.contains { $0.hasPrefix(start) || start.hasPrefix($0) }
      let near = starts.first { !start.isEmpty && NearestName.folded($0) == NearestName.folded(start) }
      let meant = isRegex ? String(start.dropLast()) : isMet ? nil : near
      guard text != start, let meant else { continue }
      context.reading.findings.warning(
        .invalidGroup, "no route of this application has a group that \"\(text)\" matches", at: own.range,
        hint: isRegex
          ? "\"*\" alone stands for any text: write \"\(meant)*\""
          : "did you mean \"\(meant + text.dropFirst(start.count))\"?")
    }
  }

  /// What a group name begins with whatever its placeholders stand for.
  private static func literalStart(of text: String) -> String {
    String(text.prefix { $0 != "{" && $0 != "*" })
  }

  private func read(_ node: Node?, _ kind: RouteKind) -> RouteTable {
    guard let node else { return RouteTable(routes: []) }
    let reader = RouteListReader(context: context, kind: kind)
    reader.readBlock(node, settings, [])
    let table = RouteTable(routes: context.hasTooManyRoutes ? [] : reader.routes)
    table.report(into: context.reading)
    return table
  }
}

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

/// A route as it was read, with the places that findings point at.
struct ReadRoute {
  var path: RoutePath
  /// The place of the route's own pattern.
  var range: SourceRange
  /// The places of all patterns of the path.
  var patternRanges: [SourceRange]
  var givenName: Located<String>?
  var groups: [Located<GroupPattern>] = []
  /// The places of the group patterns, in their order.
  var placesOfPatterns: [SourceRange] = []
  var shared: Located<Bool>?
  /// Whether it names an authenticator that does not exist.
  var hasUnknownAuth = false
  var http: HTTPRoute?
  var webSocket: WebSocketRoute?

  /// A name for one of the path's patterns. All but the last one are outer patterns.
  func name(ofPattern number: Int) -> String {
    http?.action.answersBelow == true && number == path.patterns.count - 2
      ? "the path of this route" : "the pattern before the nested routes"
  }
}

extension Reading {
  /// Reports that a template names a capture that its route does not have.
  func reportCapture(_ name: String, known: [String], _ code: FindingCode, at range: SourceRange) {
    // Names that users are likely to try first, such as Simple JWT's own claim.
    let isIdentity =
      code == .invalidGroup && ["user_id", "userid", "username", "claims", "sub"].contains(name)
    let identityHint =
      isIdentity ? "write {user} for the user, and {claims.NAME} for a claim of the token" : nil
    findings.error(
      code, "the route has no capture \"\(name)\"", at: range,
      hint: identityHint ?? NearestName.hint(for: name, in: known)
        ?? "the pattern of the route captures nothing")
  }
}
