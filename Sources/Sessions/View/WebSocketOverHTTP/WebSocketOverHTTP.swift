import Bytes
import GatewayConfig
import WebSocketCore

/// `protocol: websocket-over-http`: questions to a view, and its answers, as pushpin and Fastly Fanout write them.
///
/// A question is a POST with the events of one connection, whose `Connection-Id` is the session's address, and whose `Meta-*` fields are
/// its state. Sources: pushpin.org/docs/protocols/websocket-over-http and .../grip, and what pushpin 1.36 and django-grip 3.5 do.
struct WebSocketOverHTTP: ViewWire {
  static let mediaType = "application/websocket-events"
  private let upstream: UpstreamConfiguration
  private let secrets: [Secret]

  init(_ configuration: ViewConfiguration) {
    upstream = configuration.question.url
    secrets = configuration.secrets
  }

  func request(for question: ViewQuestion, _ attempt: ViewAttempt) -> ViewRequest {
    let host = HeaderField(name: "Host", value: upstream.hostField(of: question.session?.host ?? ""))
    let fields = Self.fields(of: question, secrets: secrets, at: Double(attempt.time))
    let client = question.fieldsOfClient.filter { !Self.isReserved($0.name) }
    return ViewRequest(
      target: question.place.target, fields: [host] + fields + client, body: Self.body(of: question))
  }

  func answer(
    in answer: UpstreamFetcher.Answer, to question: ViewQuestion
  ) throws(AnswerFault) -> ViewAnswer {
    guard let body = answer.body else {
      throw AnswerFault(reason: "the answer is longer than \(AnswerFault.longestAnswer / 1024) KiB")
    }
    if case .disconnect = question.event { return ViewAnswer() }
    guard answer.status == 200 else {
      throw AnswerFault(
        reason: "the server answered \(answer.status)", hint: "answer 200 with \(Self.mediaType)")
    }
    do throws(Fault) {
      return try Self.answer(answer.fields, body, to: question)
    } catch {
      throw AnswerFault(reason: error.message)
    }
  }

  /// A view that reads on after the end, as django-grip's `recv` does, raises an error; pushpin takes any answer for one.
  func isAnswer(_ status: Int, to question: ViewQuestion) -> Bool {
    if case .disconnect = question.event { return status == 500 }
    return false
  }

  /// Why an answer cannot be used: a sentence without a full stop.
  struct Fault: Error, Sendable, Equatable {
    var message: String

    init(_ message: String) { self.message = message }
  }
}

// MARK: - Questions

extension WebSocketOverHTTP {
  static func body(of question: ViewQuestion) -> [UInt8] {
    switch question.event {
    case .connect: WebSocketEvent.encode([WebSocketEvent(.open)])
    case .receive(let messages): WebSocketEvent.encode(messages.map(event))
    case .disconnect(let end): WebSocketEvent.encode([event(of: end)])
    // No events: what the protocol has for a look whether all is well.
    case .alive, .check: []
    }
  }

  private static func event(_ message: ViewQuestion.Message) -> WebSocketEvent {
    switch message.payload {
    case .text(let text): WebSocketEvent(.text, text)
    case .bytes(let bytes): WebSocketEvent(.binary, bytes)
    }
  }

  private static func event(of end: SessionEnd) -> WebSocketEvent {
    // RFC 6455 section 7.1.5: these two stand for a close frame without a code, and for no close frame.
    switch end.code {
    case _ where end.isPresumed: WebSocketEvent(.disconnect)
    case 1005: WebSocketEvent(.close)
    case let code where CloseCode(rawValue: code).isValidOnWire:
      WebSocketEvent(.close, ClosePayload.encode(CloseCode(rawValue: code), reason: end.reason))
    default: WebSocketEvent(.disconnect)
    }
  }

  /// The fields of a question beside those that every request has (`Host`, `Content-Length`, `X-Forwarded-*`).
  ///
  /// - Parameters:
  ///   - secrets: the first one signs, as `Grip-Sig` has one signature; none for `unsigned: true`.
  ///   - now: seconds since 1970.
  static func fields(of question: ViewQuestion, secrets: [Secret], at now: Double) -> [HeaderField] {
    var fields = [
      HeaderField(name: "Content-Type", value: mediaType),
      HeaderField(name: "Accept", value: mediaType),
      HeaderField(name: "Connection-Id", value: question.session?.address ?? question.id),
      HeaderField(name: "Sec-WebSocket-Extensions", value: "grip"),
      // Not of the protocol: by which a view knows a question again that is repeated.
      HeaderField(name: "X-Sluice-Id", value: question.id),
    ]
    if let secret = secrets.first {
      let token = GripToken.make(secret, user: question.session?.user, at: now)
      fields.append(HeaderField(name: "Grip-Sig", value: token))
    }
    if case .connect(let details, _) = question.event, !details.subprotocols.isEmpty {
      let offered = details.subprotocols.joined(separator: ", ")
      fields.append(HeaderField(name: "Sec-WebSocket-Protocol", value: offered))
    }
    for field in GripState(question.session?.state).meta {
      fields.append(HeaderField(name: "Meta-\(field.name)", value: field.value))
    }
    return fields
  }

  /// Whether the client's field would be read as one of the protocol's own, so that it must not go with a question.
  static func isReserved(_ name: String) -> Bool {
    let name = name.lowercased()
    return name == "connection-id" || name.hasPrefix("meta-") || name.hasPrefix("grip-")
  }
}
