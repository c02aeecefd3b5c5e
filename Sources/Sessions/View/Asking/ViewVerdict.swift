import GatewayConfig
import WebSocketCore

/// What the answer to a question means. A pure value.
enum ViewVerdict: Sendable {
  case answered(ViewAnswer)
  /// *connect* only.
  case refused(HandshakeRefusal)
  /// To ask again would bring the same.
  case unusable(AnswerFault)
  /// The view has not handled the question.
  case notHandled(AnswerFault, after: Duration?)
  /// The view may have handled the question, wholly or in part.
  case broken(AnswerFault)

  /// - Parameters:
  ///   - request: what was sent.
  ///   - size: the bytes of its body.
  init(
    _ answer: UpstreamFetcher.Answer, to question: ViewQuestion, _ request: ViewRequest, size: Int,
    of view: RouteView
  ) {
    guard !view.wire.isAnswer(answer.status, to: question) else {
      self = .answered(ViewAnswer())
      return
    }
    let page = DjangoPage(answer, to: Question(target: request.target, fields: request.fields))
    let found = AnswerFault(
      reason: page?.found ?? answer.found, hint: page?.hint ?? answer.hint(for: request.target))
    switch answer.status {
    case 200...299: self = page == nil ? Self.read(answer, to: question, by: view.wire) : .unusable(found)
    case 429 where question.isConnect: self = Self.refused(answer, page, of: view)
    case 408, 425, 429, 503: self = .notHandled(found, after: answer.retryAfter)
    case 500...599: self = .broken(found)
    case 400...499:
      if let fault = Self.faultOfRequest(answer, page, size: size, of: view) {
        self = .unusable(fault)
      } else if question.isConnect {
        self = Self.refused(answer, page, of: view)
      } else {
        self = .unusable(
          AnswerFault(reason: found.reason, hint: answer.status == 401 ? Self.hintOfSignature : found.hint))
      }
    default: self = .unusable(found)
    }
  }

  private static func read(
    _ answer: UpstreamFetcher.Answer, to question: ViewQuestion, by wire: any ViewWire
  ) -> ViewVerdict {
    do throws(AnswerFault) {
      if let fault = answer.faultOfEncoding { throw fault }
      return .answered(try wire.answer(in: answer, to: question))
    } catch {
      return .unusable(error)
    }
  }

  private static func refused(
    _ answer: UpstreamFetcher.Answer, _ page: DjangoPage?, of view: RouteView
  ) -> ViewVerdict {
    var refusal = HandshakeRefusal(answer.refusal(otherwise: .refusedByView), detail: page?.found)
    refusal.asked = view.user
    return .refused(refusal)
  }

  /// What is wrong with the question itself, so that it says nothing of the client; nil if that is not what is wrong.
  private static func faultOfRequest(
    _ answer: UpstreamFetcher.Answer, _ page: DjangoPage?, size: Int, of view: RouteView
  ) -> AnswerFault? {
    switch (answer.status, page) {
    case (413, _),
      (400, _) where answer.status == 413 || size > usualLimit:
      return AnswerFault(
        reason: "the server answered \(answer.status) to a question of \(size) bytes",
        hint:
          "raise DATA_UPLOAD_MAX_MEMORY_SIZE of Django (2621440 unless it is set), and client_max_body_size where nginx is between, or write a lower limits.message or batch"
      )
    case (_, .csrf?), (_, .disallowedHost?):
      return AnswerFault(reason: page?.found ?? answer.found, hint: page?.hint)
    case (404, _) where view.configuration.question.places.isEmpty:
      return AnswerFault(
        reason: page?.found ?? answer.found, hint: page?.hint ?? "compare the URL with urls.py")
    case (405, _):
      return AnswerFault(reason: answer.found, hint: "questions are POST requests: the view has to take them")
    case (401, _) where answer.isAboutSignature:
      return AnswerFault(reason: "the view did not accept the signature", hint: hintOfSignature)
    case (411, _), (414, _), (415, _), (431, _): return AnswerFault(reason: answer.found)
    default: return nil
    }
  }

  /// Django's own `DATA_UPLOAD_MAX_MEMORY_SIZE`. Bytes.
  private static let usualLimit = 2_621_440

  private static let hintOfSignature =
    "compare the secret of the route with the view's, and the clocks of both machines"

  /// Whether the server says, or seems to say, that no view is there.
  static func isAway(_ answer: UpstreamFetcher.Answer) -> Bool { (502...504).contains(answer.status) }
}

extension ViewQuestion {
  var isConnect: Bool { if case .connect = event { true } else { false } }
}

extension UpstreamFetcher.Answer {
  /// No question says that a compressed answer is understood.
  fileprivate var faultOfEncoding: AnswerFault? {
    guard body?.isEmpty == false,
      let encoding = fields.members(of: "content-encoding").first(where: { $0.lowercased() != "identity" })
    else { return nil }
    return AnswerFault(
      reason: "the answer has the Content-Encoding \"\(RequestObject.shown(encoding))\"",
      hint: "have nothing compress the answers of the view, or only those to requests with Accept-Encoding")
  }

  /// Whether it seems to come from somebody else than the view: a redirect, or a page.
  var isOfOthers: Bool {
    (300...399).contains(status)
      || status < 300 && fields.firstValue(of: "content-type")?.lowercased().hasPrefix("text/html") == true
  }

  /// How a view says that it did not believe the question, which says nothing of the client.
  fileprivate var isAboutSignature: Bool {
    fields.contains { $0.name == "www-authenticate" && $0.value.hasPrefix("Sluice") }
  }
}
