import Bytes
import Routing

/// Reads a list of routes, and those it includes or nests, into one flat list in their order.
final class RouteListReader {
  private static let deepestInclude = 16

  let context: RouteContext
  let kind: RouteKind
  private(set) var routes: [ReadRoute] = []
  /// The files and apps that are being read, the outermost first.
  private var including: [String] = []
  /// Whether routes are read only for their findings, because something around them cannot be used.
  private var isChecking = false
  /// Whether an outer pattern could not be read, so that the captures are not known.
  private var hasUnknownCaptures = false

  /// The keys of the possible actions of a route, without those for routes below it.
  private static let httpAnswers = actions(of: .http)
  private static let webSocketAnswers = actions(of: .webSocket)

  private static func actions(of kind: RouteKind) -> [String] {
    Key.actions(at: kind.place).filter { $0 != "include" && $0 != "routes" }
  }

  private var reading: Reading { context.reading }

  init(context: RouteContext, kind: RouteKind) {
    self.context = context
    self.kind = kind
  }

  /// A pattern before nested routes.
  typealias Prefix = Located<RoutePattern>

  /// A list of routes, or a mapping with `routes:` and the settings for all of them.
  ///
  /// - Returns: the settings with those of the mapping.
  @discardableResult
  func readBlock(_ node: Node, _ settings: RouteSettings, _ prefixes: [Prefix]) -> RouteSettings {
    guard case .mapping = node.content else {
      read(node, settings, prefixes)
      return settings
    }
    guard let mapping = MappingCursor(node, kind.blockPlace, reading) else { return settings }
    if mapping.keys.contains(where: { ["path", "re_path", "consumer"].contains($0.value) }) {
      reading.findings.error(
        .wrongType, "expected a list of routes, found one route", at: mapping.place,
        hint: "put \"- \" before the route")
      return settings
    }
    var settings = settings
    settings.read(mapping, kind)
    let nested = mapping.required("routes", hint: "routes: [...]")
    mapping.finish()
    if let nested { read(nested, settings, prefixes) }
    return settings
  }

  func read(_ node: Node, _ settings: RouteSettings, _ prefixes: [Prefix]) {
    for item in reading.list(node, "the table of routes") ?? [] {
      guard context.countRoute(at: item.range) else { return }
      guard let mapping = MappingCursor(item, kind.place, reading) else { continue }
      readRoute(mapping, settings, prefixes)
      mapping.finish()
    }
  }

  // MARK: - One route

  private func readRoute(_ mapping: MappingCursor, _ outer: RouteSettings, _ prefixes: [Prefix]) {
    var settings = outer
    settings.read(mapping, kind)
    let name = mapping.value("name").flatMap { node in
      reading.word(node, "\"name\"").map { Located($0, at: node.range) }
    }
    let include = mapping.entry("include")
    let nested = mapping.entry("routes")
    let isPrefix = include != nil || nested != nil
    let answersBelow = kind == .http && ["static", "proxy", "publish"].contains { mapping.entry($0) != nil }
    let pattern = readPattern(
      mapping, isOptional: isPrefix, role: isPrefix || answersBelow ? .prefix : .endpoint)
    let answers = (kind == .http ? Self.httpAnswers : Self.webSocketAnswers).compactMap(mapping.entry)
    let all = [include, nested].compactMap(\.self) + answers
    if all.count != 1 { reportAnswers(all, mapping) }
    let hasFaultyPattern = pattern == nil && (mapping.entry("path") ?? mapping.entry("re_path")) != nil
    let outer = (isChecking, hasUnknownCaptures)
    defer { (isChecking, hasUnknownCaptures) = outer }
    isChecking = isChecking || hasFaultyPattern || all.count != 1
    hasUnknownCaptures = hasUnknownCaptures || hasFaultyPattern
    if let pattern { checkJoint(prefixes, pattern) }
    let inner = prefixes + (pattern.map { [$0] } ?? [])
    if let include { readInclude(include.value, settings, inner) }
    if let nested { read(nested.value, settings, inner) }
    for answer in answers { readAnswer(answer, mapping, pattern, name: name, settings, prefixes) }
  }

  private func reportAnswers(_ found: [Node.Entry], _ mapping: MappingCursor) {
    // A route without an action may still have options, which must not be reported as unknown.
    for key in Key.dependent(at: kind.place) where kind == .webSocket { _ = mapping.entry(key.name) }
    let (own, others) =
      switch kind {
      case .http: (Self.httpAnswers, Self.webSocketAnswers)
      // Both kinds have "events", which is not an action of a WebSocket route.
      case .webSocket: (Self.webSocketAnswers, Self.httpAnswers.filter { $0 != "events" })
      }
    let needed = (own + ["include or routes"]).joined(separator: ", ")
    guard found.isEmpty else {
      return reading.findings.error(
        .conflictingKeys, "a route takes only one of \(needed)", at: found[1].key.range,
        hint: "write two routes", related: [.init("the other one", at: found[0].key.range)])
    }
    if kind == .webSocket, let publish = mapping.entry("publish"), case .mapping = publish.value.content {
      return reading.findings.error(
        .unknownKey, "\"publish\" with groups does not belong under \"websocket\"", at: publish.key.range,
        hint: "move the route under \"http\"")
    }
    let strangers = mapping.keys.map(\.value)
    let isMisspelt = (own + others + ["include", "routes"]).contains {
      !strangers.contains($0)
        && NearestName.of($0, in: strangers.filter { $0 != "name" && $0 != "path" }) != nil
    }
    // A key of the other protocol is reported at its own place.
    let isOfOtherKind = strangers.contains { others.contains($0) && $0 != "publish" }
    if !isMisspelt, !isOfOtherKind {
      reading.findings.error(
        .missingKey,
        "\(kind.place.what) needs \(kind == .webSocket ? "a consumer, an include or routes" : "one of \(needed)")",
        at: mapping.place, hint: "one of \(needed)")
    }
  }

  private func readPattern(_ mapping: MappingCursor, isOptional: Bool, role: RoutePattern.Role) -> Prefix? {
    let path = mapping.entry("path")
    let regex = mapping.entry("re_path")
    if let path, let regex {
      reading.findings.error(
        .conflictingKeys, "a route takes \"path\" or \"re_path\", not both", at: regex.key.range,
        related: [.init("the other one", at: path.key.range)])
    }
    guard let entry = path ?? regex else {
      if !isOptional { _ = mapping.required("path", hint: "path: ws/chat/<slug:room>/") }
      return nil
    }
    let what = entry.key.value
    guard var scalar = reading.textScalar(entry.value, "\"\(what)\"") else { return nil }
    if path != nil, let meant = withCaptures(scalar.text, usedIn: mapping) {
      reading.findings.error(
        .invalidPattern, "a capture is written <name> or <converter:name>", at: entry.value.range,
        hint: "write \(meant)")
      // The other keys of the route are read as if it were right.
      scalar.text = meant
    }
    switch RoutePattern.parse(scalar.text, as: path != nil ? .path : .regex, role: role) {
    case .success(let pattern):
      if path != nil { checkNotation(scalar, at: entry.value.range) }
      return Located(pattern, at: entry.value.range)
    case .failure(let fault):
      let code: FindingCode = fault.kind == .invalid ? .invalidPattern : .unsupportedPattern
      return reading.refuse(
        code, fault.message, at: place(of: fault.range, in: scalar, entry.value.range), hint: fault.hint)
    }
  }

  /// The path with its captures written as here, if it has captures in another notation that another key of the route uses.
  private func withCaptures(_ text: String, usedIn mapping: MappingCursor) -> String? {
    guard text.contains("{") || text.contains(":"), !text.contains("<"), text.utf8.count < 1000 else {
      return nil
    }
    var isUsed = false
    let meant = text.split(separator: "/", omittingEmptySubsequences: false).map { part in
      let name: Substring
      if part.hasPrefix("{"), part.hasSuffix("}") {
        name = part.dropFirst().dropLast()
      } else if part.hasPrefix(":") {
        name = part.dropFirst()
      } else {
        return String(part)
      }
      guard !name.isEmpty, name.utf8.allSatisfy(\.isOfKey) else { return String(part) }
      let isNamed = mapping.entries.contains {
        $0.key.value != "path" && Self.mentions("{\(name)}", $0.value)
      }
      isUsed = isUsed || isNamed
      return "<slug:\(name)>"
    }.joined(separator: "/")
    return isUsed ? meant : nil
  }

  private static func mentions(_ text: String, _ node: Node) -> Bool {
    switch node.content {
    case .scalar(let scalar): scalar.text.contains(text)
    case .sequence(let items): items.contains { mentions(text, $0) }
    case .mapping(let entries): entries.contains { mentions(text, $0.value) }
    }
  }

  /// Reports signs of another notation in a `path` (Django: `urls.W001`, "2_0.W001"), which would be read as ordinary text.
  private func checkNotation(_ scalar: Node.Scalar, at range: SourceRange) {
    let text = scalar.text
    for sign in PathSign.all where sign.isIn(text) {
      return reading.findings.add(
        Finding(sign.severity, .invalidPattern, sign.message, at: range, hint: sign.hint(text)))
    }
    guard let (offset, found) = Lookalike.first(in: text) else { return }
    let start = String(text.unicodeScalars.prefix(offset).map(Character.init)).utf8.count
    reading.findings.warning(
      .invalidPattern, "the path contains \(found.name), which no client is likely to send",
      at: place(of: start..<(start + 1), in: scalar, range),
      hint: ["\"", "'"].contains(found.plain)
        ? "remove it: a path contains no quotes"
        : found.plain.isEmpty ? "remove it" : "write \"\(found.plain)\"")
  }

  /// Reports nested paths without a "/" between them. Paths are joined as written: `ws/chat` and `<slug:room>/` match
  /// `/ws/chatlobby/`.
  private func checkJoint(_ prefixes: [Prefix], _ inner: Prefix) {
    guard let outer = prefixes.last, outer.value.syntax == .path, inner.value.syntax == .path,
      let last = outer.value.text.last, let first = inner.value.text.first,
      last == ">" || last.isLetter || last.isNumber, first == "<" || first.isLetter || first.isNumber
    else { return }
    let patterns = prefixes.map(\.value).filter { $0.syntax == .path } + [inner.value]
    let example = patterns.map(\.text).joined().replacing(/<(?:[^<>:]*:)?([^<>:]*)>/) { $0.output.1 }
    reading.findings.warning(
      .invalidPattern, "no \"/\" stands between this path and the one around it: it matches \"/\(example)\"",
      at: inner.range, hint: "end the outer path in \"/\": \(outer.value.text)/",
      related: [.init("the outer path", at: outer.range)])
  }

  /// The part of a value that a fault is about, or the whole value if the file has it in another form.
  private func place(of part: Range<Int>, in scalar: Node.Scalar, _ range: SourceRange) -> SourceRange {
    let quote = scalar.style == .plain ? 0 : 1
    guard scalar.origin == nil, range.isInOneLine,
      range.end.column - range.start.column == scalar.text.unicodeScalars.count + 2 * quote
    else { return range }
    func column(_ offset: Int) -> Int {
      let before = scalar.text.utf8.prefix(offset)
      return range.start.column + quote + String(decoding: before, as: UTF8.self).unicodeScalars.count
    }
    let start = SourcePosition(line: range.start.line, column: column(part.lowerBound))
    let end = SourcePosition(
      line: range.start.line, column: column(max(part.upperBound, part.lowerBound + 1)))
    return SourceRange(file: range.file, start: start, end: end)
  }

  // MARK: - Includes

  private func readInclude(_ node: Node, _ settings: RouteSettings, _ prefixes: [Prefix]) {
    guard let name = reading.includedName(node, example: "include: chat.yaml") else { return }
    if name.hasSuffix(".yaml") || name.hasSuffix(".yml") {
      let path = reading.place(of: name, at: node.range)
      return follow(path, at: node.range) {
        guard
          let document = reading.document(
            path, as: .include(node.range, ifEmpty: "write [] for a file without routes"))
        else { return }
        readBlock(document, settings, prefixes)
      }
    }
    guard let app = context.apps.local.first(where: { $0.name == name }) else { return reportApp(name, node) }
    if !isChecking { context.included[kind, default: []].insert(name) }
    follow(app.file, at: node.range) {
      let patterns = kind == .webSocket ? app.webSocketPatterns : app.httpPatterns
      guard let patterns else {
        let key = kind == .webSocket ? "websocket_urlpatterns" : "http_urlpatterns"
        return reading.findings.error(
          .missingKey, "the app \"\(name)\" has no \"\(key)\"", at: node.range, hint: "add it to \(app.file)")
      }
      read(patterns, settings, prefixes)
    }
  }

  private func reportApp(_ name: String, _ node: Node) {
    guard !context.apps.names.contains(name) else {
      return reading.findings.error(
        .unknownName, "the app \"\(name)\" is built in, and has no routes to include", at: node.range,
        hint: "write consumer: \(name)")
    }
    reading.findings.error(
      .appNotInstalled, "there is no app \"\(name)\" in installed_apps to include", at: node.range,
      hint: NearestName.of(name, in: context.apps.local.map(\.name)).map { "did you mean \"\($0)\"?" }
        ?? "add its folder to installed_apps, or name a file that ends in .yaml")
  }

  private func follow(_ path: String, at range: SourceRange, _ body: () -> Void) {
    guard !including.contains(path), !context.reading.settingsFiles.contains(path) else {
      return reading.findings.error(
        .includeCycle, "this include leads back to the file \"\(path)\"", at: range,
        hint: (including + [path]).joined(separator: " → "))
    }
    guard including.count < Self.deepestInclude else {
      return reading.findings.error(
        .includeCycle, "includes are nested deeper than \(Self.deepestInclude)", at: range)
    }
    including.append(path)
    body()
    including.removeLast()
  }

  // MARK: - What answers

  private func readAnswer(
    _ answer: Node.Entry, _ mapping: MappingCursor, _ pattern: Prefix?, name: Located<String>?,
    _ settings: RouteSettings, _ prefixes: [Prefix]
  ) {
    let all = prefixes + [pattern].compactMap(\.self)
    let path = RoutePath(all.map(\.value))
    let captures = hasUnknownCaptures ? nil : path.captureNames
    let read: Answer
    switch kind {
    case .http: read = readHTTP(answer, mapping, captures, settings)
    case .webSocket:
      let reader = ConsumerReader(
        context: context, captures: captures, hasIdentity: settings.requiresAuthentication,
        limits: settings.limitsOfSession)
      let consumer = reader.read(answer, mapping)
      let subprotocols = readSubprotocols(mapping, of: consumer?.consumer)
      settings.limitsOfSession.checkRate(of: mapping, answer, isProxy: consumer?.consumer.upstream != nil)
      read = Answer(consumer: consumer, subprotocols: subprotocols, groups: consumer?.groups ?? [])
    }
    let shared = mapping.entry("shared").flatMap { entry in
      reading.truth(entry.value, "\"shared\"").map { Located($0, at: entry.key.range) }
    }
    if let captures {
      settings.auth.checkCaptures(among: captures, at: pattern?.range ?? answer.key.range, reading)
    }
    guard let pattern, !isChecking else { return }
    var route = ReadRoute(path: path, range: pattern.range, patternRanges: all.map(\.range), givenName: name)
    route.shared = shared
    route.hasUnknownAuth = settings.auth.isUnknown
    route.placesOfPatterns = placesOfPatterns(answer, mapping)
    let fromView = kind == .http ? answer.value.entry("groups_from_view") : mapping.entry("groups_from_view")
    route.placesOfViewGroups = fromView?.value.items.map(\.range) ?? []
    add(read, to: &route, at: answer.key, settings)
    routes.append(route)
  }

  /// What a route does, and the places of its groups.
  private struct Answer {
    var http: HTTPAction?
    var consumer: ReadConsumer?
    var subprotocols: [String] = []
    var groups: [Located<GroupPattern>] = []
  }

  private func readHTTP(
    _ answer: Node.Entry, _ mapping: MappingCursor, _ captures: [String]?, _ settings: RouteSettings
  ) -> Answer {
    guard answer.key.value == "events" else {
      let reader = HTTPActionReader(context: context, captures: captures, settings: settings)
      return Answer(http: reader.read(answer))
    }
    reportKeysOfEvents(mapping)
    let events = EventStreamReader(context: context, captures: captures, settings: settings).read(answer)
    return Answer(http: (events?.stream).map(HTTPAction.events), groups: events?.groups ?? [])
  }

  private func add(
    _ answer: Answer, to route: inout ReadRoute, at key: Located<String>, _ settings: RouteSettings
  ) {
    if answer.http?.answersBelow == true {
      route.path.patterns.append(.remainder)
      route.patternRanges.append(route.range)
    }
    let name = route.givenName?.value ?? route.path.text
    route.groups = answer.groups
    if let http = answer.http {
      route.http = HTTPRoute(
        name: name, range: route.range, action: http,
        auth: settings.auth.ofHTTP(
          key.value, isKnown: http.dependsOnIdentity, route.path, at: key.range, reading))
    }
    if var consumer = answer.consumer {
      consumer.consumer.view?.longCaptures = route.path.longCaptures
      route.unsigned = consumer.unsigned
      route.webSocket = WebSocketRoute(
        name: name, range: route.range, consumer: consumer.consumer, origins: settings.origins,
        subprotocols: answer.subprotocols, limits: settings.limitsOfSession,
        compression: settings.compression,
        auth: settings.auth.ofWebSocket(consumer, route.path, at: key.range, reading),
        refusals: settings.refusals,
        options: consumer.options)
    }
  }

  /// Reports keys beside `events` that belong inside it.
  private func reportKeysOfEvents(_ mapping: MappingCursor) {
    for key in ["group", "channel_layer", "history"] {
      guard let entry = mapping.undeclared(key) else { continue }
      reading.findings.error(
        .unknownKey, "\"\(key)\" belongs inside \"events\"", at: entry.key.range,
        hint: key == "group" ? "write events: {group: NAME}" : "write events: {group: NAME, \(key): ...}")
    }
  }

  /// The places of the patterns of `subscribe` or `publish`; empty if they come from a preset.
  private func placesOfPatterns(_ answer: Node.Entry, _ mapping: MappingCursor) -> [SourceRange] {
    var list = kind == .webSocket ? mapping.entry("subscribe")?.value : nil
    if answer.key.value == "publish" { list = answer.value.entry("groups")?.value ?? list }
    return list?.items.map(\.range) ?? []
  }

  private func readSubprotocols(_ mapping: MappingCursor, of consumer: ConsumerConfiguration?) -> [String] {
    guard let entry = mapping.entry("subprotocols") else { return [] }
    if consumer?.upstream != nil {
      reading.findings.error(
        .conflictingKeys, "the consumer \"proxy\" has no option \"subprotocols\"", at: entry.key.range,
        hint: "remove it: the upstream chooses the subprotocol")
    }
    var known: [String] = []
    var seen: Set<String> = []
    for name in reading.words(entry.value, "\"subprotocols\"") ?? [] {
      if !name.value.isHTTPToken {
        reading.findings.error(
          .invalidValue, "\"\(name.value)\" is not a valid name for a subprotocol", at: name.range,
          hint: "use no spaces, commas, quotes, slashes or brackets")
      } else if !seen.insert(name.value).inserted {
        reading.findings.error(
          .duplicateName, "the subprotocol \"\(name.value)\" is listed twice", at: name.range)
      }
      known.append(name.value)
    }
    return known
  }
}

/// A sign that a `path` is written in another notation.
private struct PathSign: Sendable {
  var severity = Finding.Severity.warning
  var message: String
  var hint: @Sendable (String) -> String
  var isIn: @Sendable (String) -> Bool

  /// In order of likelihood.
  static let all = [
    PathSign(
      severity: .error, message: "a path is expected here, and this is a whole URL",
      hint: { "write only what follows the host: \(path(ofURL: $0))" },
      isIn: { text in
        ["ws://", "wss://", "http://", "https://"].contains { text.lowercased().hasPrefix($0) }
      }),
    PathSign(
      severity: .error, message: "this is Python's notation, and only the path itself is expected",
      hint: { text in textInQuotes(text).map { "write \($0)" } ?? "write only the text in its quotes" },
      isIn: { text in
        ["path(", "re_path(", "url("].contains { text.hasPrefix($0) }
          && (text.contains("'") || text.contains("\""))
      }),
    PathSign(
      message: "this looks like a regular expression", hint: { _ in "write re_path instead of path" },
      isIn: { $0.hasPrefix("^") || $0.hasSuffix("$") || $0.contains("(?P<") }),
    PathSign(
      message: "the path of a request never contains a \"?\": it begins the query",
      hint: { _ in "remove the \"?\" and what follows it" }, isIn: { $0.contains("?") }),
    PathSign(
      message: "the path of a request never contains a \"#\": a browser does not send what follows it",
      hint: { _ in "remove the \"#\" and what follows it" }, isIn: { $0.contains("#") }),
    PathSign(
      message: "a capture is written <name> or <converter:name>", hint: { _ in "write <slug:name>" },
      isIn: { $0.contains("{") || $0.contains("/:") || $0.hasPrefix(":") }),
    PathSign(
      message: "\"*\" is not a wildcard in a path: only a \"*\" in the request matches it",
      hint: { _ in "capture the rest of the path with <path:rest>, or one part of it with <str:name>" },
      isIn: { $0.contains("*") }),
    PathSign(
      message: "the path ends in a character that is most likely not part of it",
      hint: { "remove the \"\($0.last.map(String.init) ?? "")\"" },
      isIn: { text in [",", ";", "\"", "'", "\\"].contains { text.hasSuffix($0) } }),
    PathSign(
      message: "the path contains a space, which a client has to send as \"%20\"",
      hint: { _ in "remove it, or write \"-\" or \"_\"" }, isIn: { $0.contains(" ") }),
  ]

  /// The first text in quotes, `ws/` of `path('ws/')`.
  private static func textInQuotes(_ text: String) -> String? {
    guard let quote = text.first(where: { $0 == "'" || $0 == "\"" }) else { return nil }
    let parts = text.split(separator: quote, maxSplits: 2, omittingEmptySubsequences: false)
    return parts.count > 1 && !parts[1].isEmpty ? String(parts[1]) : nil
  }

  private static func path(ofURL text: String) -> String {
    let rest = text.firstRange(of: "://").map { text[$0.upperBound...] } ?? text[...]
    return rest.firstIndex(of: "/").map { String(rest[rest.index(after: $0)...]) } ?? "\"\""
  }
}
