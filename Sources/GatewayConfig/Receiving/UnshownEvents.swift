import Routing

/// Reports events of `receive` that no route shows, so that nobody would get them.
struct UnshownEvents {
  let groups: [RouteGroups]
  let webSocket: [ReadRoute]
  let http: [ReadRoute]

  func report(into reading: Reading) {
    // Beyond this, every event would be compared with too many groups.
    guard groups.count < 10_000 else { return }
    var seen: Set<SourceRange> = []
    for event in groups where event.key == .receive && seen.insert(event.range).inserted {
      guard let type = event.eventType else { continue }
      // The same event may go to several groups.
      let targets = groups.filter { $0.key == .receive && $0.range == event.range }.map(\.use)
      let readers = groups.filter { reader in
        reader.use.access.reads && reader.key != .publish
          && targets.contains { $0.layer == reader.use.layer && $0.pattern.mayMeet(reader.use.pattern) }
      }
      let known = readers.compactMap(configuration).map(\.knownTypes)
      let handler = HandlerName.of(type)
      // That the type is not possible is said already.
      guard !HandlerName.isReserved(type) else { continue }
      guard !known.isEmpty, !known.contains(where: { $0.contains { HandlerName.of($0) == handler } }) else {
        continue
      }
      reading.findings.warning(
        .unknownName, "no route with this group shows events of the type \"\(type)\"", at: event.range,
        hint: NearestName.of(type, in: known.flatMap(\.self).unique).map { "did you mean \"\($0)\"?" }
          ?? "say what its frame looks like: events: {\(type): event}")
    }
  }

  private func configuration(of group: RouteGroups) -> GroupConfiguration? {
    switch group.kind {
    case .webSocket: webSocket[group.use.route].webSocket?.consumer.group
    case .http: http[group.use.route].http?.events?.group
    }
  }
}
