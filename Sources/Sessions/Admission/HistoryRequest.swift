import Bytes
import ChannelLayers
import WebSocketCore

/// The client's request for its group's history: `?since=EPOCH.OFFSET`, `?since=`, or nothing.
struct HistoryRequest: Equatable {
  var start: ReplayStart
  /// Whether its frames contain positions, because the client handles them.
  var isNumbered: Bool

  /// The parameter of the query.
  static let parameter = "since"

  /// - Parameter query: the query of the request's target, as it was sent. The result is nil for an invalid `since`, or
  ///   several.
  init?(query: String?) {
    let wishes = NamedValue.parameters(of: query).filter { $0.isNamed(Self.parameter) }
    guard wishes.count <= 1 else { return nil }
    self.init(since: wishes.first.map { $0.value ?? "" })
  }

  /// - Parameter since: nil for a client that does not use positions; empty for one that has none yet.
  init?(since: (some StringProtocol)?) {
    isNumbered = since != nil
    guard let since, !since.isEmpty else {
      start = .beginning
      return
    }
    guard let position = EventPosition(since) else { return nil }
    start = .behind(position)
  }

  /// The request of an event stream's client: by its browser when it reconnects, or else by its page in the query.
  ///
  /// - Returns: nil for a `since` in the query that is not an id.
  init?(ofStream request: RequestHead, query: String?) {
    if let last = request.values(of: "last-event-id").first, !last.isEmpty {
      // An id that Sluice did not issue belongs to a history that is gone. Refusing it would keep a browser from reconnecting.
      start = .behind(EventPosition(last) ?? EventPosition(epoch: 0, offset: 0))
    } else if let request = HistoryRequest(query: query) {
      start = request.start
    } else {
      return nil
    }
    isNumbered = true
  }
}
