import ChannelLayers

/// What a client asks of its group's history: `?since=EPOCH.OFFSET`, `?since=`, or nothing.
struct HistoryWish: Equatable {
  var start: ReplayStart
  /// Whether its frames say where they are: of a client that knows of positions.
  var isNumbered: Bool

  /// - Parameter query: of the request's target, as it came. Nil for a `since` that cannot be read, or more than one.
  init?(query: String?) {
    let values = (query ?? "").split(separator: "&").compactMap { part -> Substring? in
      if part == "since" { return "" }
      return part.hasPrefix("since=") ? part.dropFirst("since=".count) : nil
    }
    guard values.count <= 1 else { return nil }
    self.init(since: values.first)
  }

  /// - Parameter since: nil for a client that knows nothing of positions; empty for one that has none yet.
  init?(since: (some StringProtocol)?) {
    isNumbered = since != nil
    guard let since, !since.isEmpty else {
      start = .beginning
      return
    }
    guard let position = EventPosition(since) else { return nil }
    start = .behind(position)
  }
}
