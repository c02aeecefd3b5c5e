import GatewayConfig
import WebSocketCore

/// Sluice's own `protocol: json`: a signed object, which is answered with an object or with nothing.
struct JSONWire: ViewWire {
  private let upstream: UpstreamConfiguration
  private let signature: ViewSignature

  init(_ configuration: ViewConfiguration) {
    upstream = configuration.question.url
    signature = ViewSignature(configuration.secrets)
  }

  func request(for question: ViewQuestion, _ attempt: ViewAttempt) -> ViewRequest {
    let body = JSONQuestion(question, attempt).text
    let target = question.place.target
    var fields = [
      HeaderField(name: "Host", value: upstream.hostField(of: question.session?.host ?? "")),
      HeaderField(name: "Content-Type", value: "application/json"),
      HeaderField(name: "Accept", value: "application/json"),
    ]
    fields += question.fieldsOfClient
    fields += [
      HeaderField(name: "X-Sluice-Version", value: "\(ViewSignature.version)"),
      HeaderField(name: "X-Sluice-Id", value: question.id),
      HeaderField(name: "X-Sluice-Time", value: "\(attempt.time)"),
    ]
    if let value = signature.value(time: attempt.time, id: question.id, target: target, body: body) {
      fields.append(HeaderField(name: "X-Sluice-Signature", value: value))
    }
    return ViewRequest(target: target, fields: fields, body: body)
  }

  func answer(
    in answer: UpstreamFetcher.Answer, to question: ViewQuestion
  ) throws(AnswerFault) -> ViewAnswer {
    guard let body = answer.body else { throw .tooLong }
    switch answer.status {
    case 204: return ViewAnswer()
    case 200:
      guard answer.isJSON else {
        throw AnswerFault(
          reason: "the server answered 200 with \(answer.type ?? "no type"), and not with JSON",
          hint: "answer with JsonResponse({...}), or with 204 where there is nothing to do")
      }
      return try JSONViewAnswer(to: question).read(body)
    default:
      throw AnswerFault(
        reason: "the server answered \(answer.status)", hint: "answer 200 with JSON, or 204")
    }
  }
}

extension UpstreamFetcher.Answer {
  /// The media type without its parameters, in lower case (RFC 9110 section 8.3.1); nil without one.
  fileprivate var type: String? {
    guard let value = fields.firstValue(of: "content-type") else { return nil }
    let type = value.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" }
    return RefusalLog.printable(Array(type.lowercased().utf8))
  }

  /// As most servers write it, it is not looked at closely.
  fileprivate var isJSON: Bool {
    fields.firstValue(of: "content-type") == "application/json" || type == "application/json"
  }
}
