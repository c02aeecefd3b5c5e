package import Routing

extension GroupConfiguration {
  /// The event types that every route with a group delivers without a template.
  package static let builtInTypes = [
    "chat.message", "broadcast.message", "websocket.send", "websocket.close",
  ]

  /// The event types that the route delivers.
  package var knownTypes: [String] {
    let named = events.keys + deliveries.keys.filter { events[$0] == nil }
    return named + Self.builtInTypes.filter { !named.contains($0) }
  }

  /// Whether messages of clients become events of the first group.
  var receivesEvents: Bool { receive?.events.contains { $0.group == .first } ?? false }

  /// Whether something is made of what the path captured, so that sessions have to keep it.
  package var needsCaptures: Bool {
    let places = (receive?.places ?? []) + greetings.flatMap(\.places)
    return places.contains(where: \.isCapture)
  }

  /// All patterns by which a session comes into its groups.
  package var ways: [GroupPattern] { templates + subscribe + (fromView?.patterns ?? []) }
}

extension ReceivedEvent {
  /// A pattern for all groups that the event may name; nil for the first group of the session.
  package var pattern: GroupPattern? {
    switch group {
    case .first: nil
    case .matching(let pattern): pattern
    case .named(let parts):
      GroupPattern(
        parts: parts.map { part in
          if case .literal(let text) = part { .literal(text) } else { .anything }
        })
    }
  }

  /// Whether clients can let the event name another user: its field `user` has a part that they decide, or it is shown as it is, and names
  /// nobody.
  var isForgeable: Bool {
    if let user = fields.first(where: { $0.key == "user" }) {
      return user.value.places.contains(where: \.isOfClient)
    }
    return HandlerName.of(type) == "broadcast.message"
      && fields.contains { $0.value.places.contains(where: \.isOfClient) }
  }

  /// Whether the event says who has sent it, as Sluice knows it.
  var isSigned: Bool { fields.contains { $0.key == "user" && $0.value == .place(.user) } }
}

extension Reading {
  /// Reports events for groups that no session of the route comes into by itself.
  func reportUnreachable(_ groups: GroupConfiguration) {
    for event in groups.receive?.events ?? [] {
      guard let pattern = event.pattern, !groups.ways.contains(where: pattern.mayMeet) else { continue }
      let ways = groups.ways.map { "\"\($0.text)\"" }.joined(separator: ", ")
      findings.warning(
        .invalidGroup, "no session of this route comes into a group \"\(pattern.text)\" by itself",
        at: event.range,
        hint: ways.isEmpty
          ? "name the groups in \"group\", \"subscribe\" or \"groups_from_view\""
          : "its groups are \(ways); only a program can bring it into another one, by join")
    }
  }
}
