import ChannelLayers
import JSON
import Routing

/// The end of a session that its view is to be told.
struct ViewReport: Sendable {
  /// Whose record it was.
  enum Origin: Sendable {
    case own
    /// It was read from the layer: the process of the session seems to have ended, or there was no room for it in memory.
    case taken(TakenRecord.Place, of: any SessionRecords)
  }

  let record: ViewRecord
  let end: SessionEnd
  /// Of the question, the same for each attempt.
  let id: String
  var origin = Origin.own
  var attempts = 0

  var question: ViewQuestion {
    var question = ViewQuestion(id: id, event: .disconnect(end), session: record)
    question.earlierAttempts = attempts
    return question
  }

  /// Whoever has many questions waits behind others.
  var asker: String { record.user ?? record.client }
}

extension ViewRecord {
  /// Roughly the memory that it takes. Bytes.
  package var size: Int {
    let texts = [address, route, target, path, query, host, client, user ?? ""]
    let captured = captures.all.reduce(0) { $0 + 64 + $1.name.utf8.count + $1.value.utf8.count }
    return texts.reduce(256) { $0 + $1.utf8.count } + captured + groups.reduce(0) { $0 + 16 + $1.utf8.count }
      + (claims?.bytes.count ?? 0) * 2 + (state?.count ?? 0)
  }
}
