import GatewayConfig
import WebSocketCore

/// `protocol: websocket-over-http` for those who ask.
struct WebSocketOverHTTPWire: ViewWire {
  private let upstream: UpstreamConfiguration
  private let secrets: [Secret]

  init(_ configuration: ViewConfiguration) {
    upstream = configuration.question.url
    secrets = configuration.secrets
  }

  func request(for question: ViewQuestion, _ attempt: ViewAttempt) -> ViewRequest {
    var fields = [question.hostField(for: upstream)]
    fields += WebSocketOverHTTP.fields(of: question, secrets: secrets, at: Double(attempt.time))
    fields += question.shownFields.filter { !WebSocketOverHTTP.isReserved($0.name) }
    fields += question.forwardedFields
    return ViewRequest(
      target: question.place.target, fields: fields, body: WebSocketOverHTTP.body(of: question))
  }

  func answer(
    in answer: UpstreamFetcher.Answer, to question: ViewQuestion
  ) throws(AnswerFault) -> ViewAnswer {
    guard let body = answer.body else { throw .tooLong }
    guard answer.status != 204 else { return ViewAnswer() }
    do throws(WebSocketOverHTTP.Fault) {
      return try WebSocketOverHTTP.answer(answer.fields, body, to: question)
    } catch {
      throw AnswerFault(reason: error.message)
    }
  }
}
