import Routing

/// One entry of `applications`.
struct ApplicationReader {
  let context: RouteContext
  /// The settings of the server.
  let settings: RouteSettings

  /// Where another file has taken the routes away.
  private func emptied(_ entry: Node.Entry) -> [Finding.Related] {
    ["websocket", "http"].compactMap { key in
      if let place = context.reading.removals[key, in: entry.value] {
        return .init("removed here", at: place)
      }
      guard let found = entry.value.entry(key)?.key, found.range.file.path != entry.key.range.file.path else {
        return nil
      }
      return .init("emptied here", at: found.range)
    }
  }

  func read(_ entry: Node.Entry) -> ApplicationConfiguration {
    var http = RouteTable(routes: [])
    var webSocket = RouteTable(routes: [])
    var around = settings
    let errors = context.reading.findings.errorCount
    if let mapping = MappingCursor(entry.value, .application, context.reading) {
      http = read(mapping.value("http"), .http).table
      (webSocket, around) = read(mapping.value("websocket"), .webSocket)
      mapping.finish()
      if http.routes.isEmpty, webSocket.routes.isEmpty, context.reading.findings.errorCount == errors,
        !context.hasTooManyRoutes
      {
        context.reading.findings.error(
          .missingKey, "the application \"\(entry.key.value)\" has no routes", at: entry.key.range,
          hint: "add a list under \"websocket\"", related: emptied(entry))
      }
    }
    var groups = RouteGroups.all(of: webSocket, .webSocket) + RouteGroups.all(of: http, .http)
    for number in groups.indices {
      let alias = groups[number].layer
      groups[number].use.layer = context.groupSpaces[alias] ?? alias
    }
    reportUnmet(groups)
    UnshownEvents(groups: groups, webSocket: webSocket.routes, http: http.routes).report(
      into: context.reading)
    IsolationReport(groups: groups, reading: context.reading).report(webSocket.routes + http.routes)
    ExposureReport(reading: context.reading, webSocket: webSocket, http: http).report()
    return ApplicationConfiguration(
      name: entry.key.value, httpRoutes: http.routes.compactMap(\.http), httpRouter: http.router,
      webSocketRoutes: webSocket.routes.compactMap(\.webSocket), webSocketRouter: webSocket.router,
      unmatchedHandshakes: UnmatchedHandshakes(origins: around.origins, refusals: around.refusals),
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

  /// - Returns: also the settings around all routes of the protocol.
  private func read(_ node: Node?, _ kind: RouteKind) -> (table: RouteTable, around: RouteSettings) {
    guard let node else { return (RouteTable(routes: []), settings) }
    let reader = RouteListReader(context: context, kind: kind)
    let around = reader.readBlock(node, settings, [])
    let table = RouteTable(routes: context.hasTooManyRoutes ? [] : reader.routes)
    table.report(into: context.reading)
    return (table, around)
  }
}
