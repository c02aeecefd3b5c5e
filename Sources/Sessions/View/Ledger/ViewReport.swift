import ChannelLayers
import JSON
import Routing

/// The end of a session that its view is to be told.
struct ViewReport: Sendable {
  /// Whose record it was.
  enum Origin: Sendable {
    /// This process's; `kept`: where it is kept, if anywhere.
    case own(kept: (any SessionRecords)?)
    /// It was read from the layer: the process of the session seems to have ended, or there was no room for it in memory.
    case taken(TakenRecord.Place, of: any SessionRecords)
  }

  let record: ViewRecord
  let end: SessionEnd
  /// Of the question, the same for each attempt.
  let id: String
  var origin = Origin.own(kept: nil)
  var attempts = 0

  /// The question to the view that the route has now: a reload may have changed where it is asked.
  func question(on route: SessionRoute) -> ViewQuestion {
    var record = record
    record.target = route.target(for: record.captures) ?? record.target
    var question = ViewQuestion(id: id, event: .disconnect(end), session: record)
    question.earlierAttempts = attempts
    return question
  }

  var isTaken: Bool { if case .taken = origin { true } else { false } }
}

extension ViewRecord {
  /// Whoever has many questions waits behind others. A user's name may look like an address.
  var asker: String { user.map { "user " + $0 } ?? client }

  /// Roughly the memory that it takes. Bytes.
  package var size: Int {
    let texts = [address, route, target, path, query, host, client, user ?? ""]
    let captured = captures.all.reduce(0) { $0 + 64 + $1.name.utf8.count + $1.value.utf8.count }
    return texts.reduce(256) { $0 + $1.utf8.count } + captured + groups.reduce(0) { $0 + 16 + $1.utf8.count }
      + (claims?.bytes.count ?? 0) * 2 + (state?.count ?? 0)
  }
}
