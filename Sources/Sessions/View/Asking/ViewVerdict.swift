import GatewayConfig
import WebSocketCore

/// What the answer to a question means. A pure value.
enum ViewVerdict: Sendable {
  case answered(ViewAnswer)
  /// *connect* only.
  case refused(HandshakeRefusal)
  /// To ask again would bring the same.
  case unusable(AnswerFault)
  /// Something before the view has not let the question through: the view has not run, and will once that is mended.
  case unheard(AnswerFault)
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
    let page = Self.page(answer, Question(target: request.target, fields: request.fields), of: view)
    // Most answers have no fault, and no words for it are looked for.
    var found: AnswerFault {
      AnswerFault(
        reason: page?.found ?? answer.found, hint: page?.hintToView ?? answer.hint(for: request.target))
    }
    if let fault = Self.faultOfRequest(answer, size: size, of: view)
      ?? (page?.standsBefore == true ? found : nil)
    {
      self = .unheard(fault)
      return
    }
    switch answer.status {
    case 200...299: self = Self.read(answer, to: question, by: view.wire)
    case 429 where question.isConnect: self = Self.refused(answer, page, of: view)
    case 408, 425, 429, 503: self = .notHandled(found, after: answer.retryAfter)
    case 500...599:
      self = .broken(AnswerFault(reason: found.reason, hint: found.hint ?? Self.hintOfError(answer.status)))
    case 400...499:
      if page == .notFound, view.configuration.question.places.isEmpty, !view.reports.hasBelieved {
        self = .unusable(
          AnswerFault(reason: found.reason, hint: found.hint ?? "compare the URL with urls.py"))
      } else if question.isConnect {
        self = Self.refused(answer, page, of: view)
      } else if answer.status == 401 {
        // Only *connect* is about who the client is.
        self = .unheard(AnswerFault(reason: found.reason, hint: Self.hintOfSignature(of: view)))
      } else {
        self = .unusable(AnswerFault(reason: found.reason, hint: found.hint ?? Self.hintOfRefusal))
      }
    default: self = .unusable(found)
    }
  }

  /// Django's bare page for 400 is that of a view which has answered before; until then it is taken to be about the host.
  private static func page(
    _ answer: UpstreamFetcher.Answer, _ question: Question, of view: RouteView
  ) -> DjangoPage? {
    guard let page = DjangoPage(answer, to: question) else { return nil }
    if page.isOfHost, view.reports.hasBelieved, !DjangoPage.namesHost(answer) { return nil }
    return page
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
    _ answer: UpstreamFetcher.Answer, size: Int, of view: RouteView
  ) -> AnswerFault? {
    switch answer.status {
    case 413,
      400 where answer.status == 413 || size > usualLimit:
      return AnswerFault(
        reason: "the server answered \(answer.status) to a question of \(size) bytes",
        hint:
          "raise DATA_UPLOAD_MAX_MEMORY_SIZE of Django (2621440 unless it is set), and client_max_body_size where nginx is between, or write a lower limits.message or batch"
      )
    case 405:
      return AnswerFault(reason: answer.found, hint: "questions are POST requests: the view has to take them")
    case 401 where answer.isAboutSignature:
      return AnswerFault(reason: "the view did not accept the signature", hint: hintOfSignature(of: view))
    case 411, 414, 415, 431: return AnswerFault(reason: answer.found)
    default: return nil
    }
  }

  /// Django's own `DATA_UPLOAD_MAX_MEMORY_SIZE`. Bytes.
  private static let usualLimit = 2_621_440

  private static func hintOfError(_ status: Int) -> String {
    status == 500
      ? "the log of Django has the error; if what a client has sent is the reason, check it, and answer with an error for the client"
      : "the log of the server has the error"
  }

  private static func hintOfSignature(of view: RouteView) -> String {
    view.configuration.secrets.isEmpty
      ? "the route signs nothing (unsigned: true): the view must not ask for a signature; in sockets.py write unsigned = True in the class"
      : "compare the secret of the route with the view's, and the clocks of both machines"
  }

  /// What a 4xx means to a question that is not about who may come in.
  private static let hintOfRefusal =
    "to refuse one message, answer 200 with an error for the client, as sockets.py does for InvalidMessage"

  /// Whether the server says, or seems to say, that no view is there.
  static func isAway(_ answer: UpstreamFetcher.Answer) -> Bool { (502...504).contains(answer.status) }
}

extension DjangoPage {
  /// Whether something before the view has answered, whatever the view would have said.
  fileprivate var standsBefore: Bool {
    switch self {
    case .csrf, .disallowedHost, .missingSlash, .toHTTPS, .toLogin, .login: true
    case .raised, .notFound: false
    }
  }
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

  /// How a view says that it did not believe the question, which says nothing of the client: one of its challenges is `Sluice`.
  fileprivate var isAboutSignature: Bool {
    fields.members(of: "www-authenticate").contains { challenge in
      challenge.split(whereSeparator: \.isWhitespace).first?.lowercased() == "sluice"
    }
  }
}
