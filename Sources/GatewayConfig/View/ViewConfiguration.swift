import Bytes

/// `consumer: view`: what a view of the operator's project is asked about the sessions of a route, and how.
package struct ViewConfiguration: Sendable, Hashable {
  /// `on:`, what the view is asked about.
  package enum Event: String, Sendable, Hashable, CaseIterable {
    case connect, receive, disconnect
  }

  /// `protocol:`, how a question is written.
  package enum Wire: String, Sendable, Hashable, CaseIterable {
    /// Sluice's own: JSON, signed.
    case json
    /// `application/websocket-events`, as pushpin and Fastly Fanout speak it.
    case webSocketOverHTTP = "websocket-over-http"
  }

  /// `order:`
  package enum Order: String, Sendable, Hashable, CaseIterable {
    /// One question under way for each session.
    case session
    /// Messages of one session may overtake each other.
    case none
  }

  /// `on_failure:`, what becomes of a session whose question was not answered.
  package enum OnFailure: String, Sendable, Hashable, CaseIterable {
    /// It stays and is not read, while the question is sent again.
    case wait
    /// It is told `{"error": ...}`.
    case reply
    /// It is closed.
    case close
  }

  /// In bytes.
  package static let shortestSecret = 16
  /// The largest body of a question. Django takes 2.5 MB unless it is told otherwise.
  package static let largestBody = ByteCount.mebibytes(2)
  /// The largest message that fits into a question in base64, beside what else the question says.
  package static let largestMessage = ByteCount.kibibytes(1488)

  /// Where the question goes, and the fields of the client's request that go with *connect*. Its times for caches are not used.
  package var question: QuestionConfiguration
  /// `secret:`, the first one first; empty for `unsigned: true`.
  package var secrets: [Secret]
  /// `unsigned:`, whether questions have no signature.
  package var isUnsigned = false
  /// The captures of `<path:NAME>`: each may be several segments of the URL.
  package var longCaptures: Set<String> = []
  package var on: Set<Event> = [.connect, .receive]
  /// `alive:`, how often the view is told who is there; nil for never.
  package var alive: Duration?
  package var wire = Wire.json
  /// `batch:`, the most messages in one question.
  package var batch = 1
  package var order = Order.session
  /// `in_flight:`, the most questions under way for the route, in the whole process.
  package var inFlight = 8
  package var onFailure = OnFailure.wait
  /// `retry:`, whether a *receive* that the view may have handled is sent again.
  package var repeatsReceive = false

  package init(question: QuestionConfiguration, secrets: [Secret] = []) {
    self.question = question
    self.secrets = secrets
  }
}
