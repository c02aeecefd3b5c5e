import WebSocketCore

/// How the questions of a route are written and its answers read: one for each `protocol`. It knows nothing of connections.
protocol ViewWire: Sendable {
  func request(for question: ViewQuestion, _ attempt: ViewAttempt) -> ViewRequest

  /// Whether a status other than 200 to 299 is an answer too, in which there is nothing to read.
  func isAnswer(_ status: Int, to question: ViewQuestion) -> Bool

  /// Reads an answer with a status of 200 to 299. Everything in it is checked, so that nothing of a malformed one is done.
  func answer(
    in answer: UpstreamFetcher.Answer, to question: ViewQuestion
  ) throws(AnswerFault) -> ViewAnswer
}

extension ViewWire {
  func isAnswer(_ status: Int, to question: ViewQuestion) -> Bool { false }
}

extension ViewQuestion {
  /// The fields of the client's request that go with it, and those that say who the client is.
  var fieldsOfClient: [HeaderField] {
    var fields: [HeaderField] = []
    if case .connect(let details, _) = event { fields += details.fields }
    if let session {
      fields += ForwardedHeaders.added(
        host: session.host, address: session.client, isSecure: session.isSecure)
    } else {
      // A project that sends plain requests to https (SECURE_SSL_REDIRECT) has nobody to send here.
      fields.append(HeaderField(name: "X-Forwarded-Proto", value: "https"))
    }
    return fields
  }
}

/// What differs between the attempts of one question.
struct ViewAttempt: Sendable, Equatable {
  /// From 1 on.
  var number = 1
  /// When the question was made. Seconds since 1970.
  var made: Double
  /// Of this attempt. Seconds since 1970.
  var time: Int64
}

/// One attempt of a question, as it is sent: a POST.
struct ViewRequest: Sendable, Equatable {
  /// Path and query.
  var target: String
  /// With `Host` as the first one; without those that say how long the body is.
  var fields: [HeaderField]
  var body: [UInt8]
}

extension AnswerFault {
  /// The longest body of an answer. Bytes.
  static let longestAnswer = 1 << 20
  static let tooLong = AnswerFault(reason: "the answer is longer than \(longestAnswer / 1024) KiB")
}
