import Bytes
package import GatewayConfig
import JSON
package import NIOCore
package import Routing
import Transport
import WebSocketCore

/// Asks the view of a route whether it would answer: a signed question of kind `check`, for `validate --connect`.
package struct ViewTrial: Sendable {
  private let view: ViewConfiguration
  private let question: ViewQuestion
  /// The `Host` of the question; nil for the view's own.
  private let host: String?

  /// - Parameters:
  ///   - captures: of an example of the route's paths.
  ///   - host: one that clients ask for; nil if none is known.
  /// - Returns: nil if there is no URL for these captures, or the view's protocol has no such question (`asks`).
  package init?(_ view: ViewConfiguration, route: String, captures: Captures, host: String?) {
    guard Self.asks(view), let target = view.question.target(for: captures, long: view.longCaptures) else {
      return nil
    }
    self.view = view
    self.host = view.question.url.hostHeader == .keep ? host : nil
    question = ViewQuestion(
      id: ViewQuestionID.next(), event: .check, place: ViewQuestion.Place(route: route, target: target))
  }

  /// Whether the view can be asked without a session: a view of WebSocket-over-HTTP takes a request without events for a mistake.
  package static func asks(_ view: ViewConfiguration) -> Bool { view.wire == .json }

  /// - Returns: nil if the view has answered as it has to.
  package func run(on loops: any EventLoopGroup) async -> TrialFault? {
    let server = UpstreamFetcher(view.question.url, on: loops)
    let wire = JSONWire(view)
    let request = self.request(for: question, signedBy: view)
    do {
      if let fault = fault(of: try await ask(server, request), to: request, wire) { return fault }
    } catch {
      let fault = AnswerFault(error, from: view.question.url)
      return TrialFault(text: fault.reason, hint: fault.hint)
    }
    guard let forged = forgedRequest, let answer = try? await ask(server, forged) else { return nil }
    return Self.fault(ofAnswerToForged: answer.status)
  }

  private func ask(_ server: UpstreamFetcher, _ request: ViewRequest) async throws -> UpstreamFetcher.Answer {
    try await server.fetch(
      target: request.target, request.fields, posting: request.body, within: view.question.timeout,
      longest: AnswerFault.longestAnswer)
  }

  private func request(for question: ViewQuestion, signedBy view: ViewConfiguration) -> ViewRequest {
    let now = WallClock.secondsSinceEpoch
    var request = JSONWire(view).request(for: question, ViewAttempt(made: now, time: Int64(now)))
    if let host, let index = request.fields.firstIndex(where: { $0.name == "Host" }) {
      request.fields[index].value = host
    }
    return request
  }

  /// Such a question from somebody who does not know the secret; nil for `unsigned: true`.
  var forgedRequest: ViewRequest? {
    guard !view.secrets.isEmpty else { return nil }
    var forger = view
    forger.secrets = [Secret(bytes: (0..<32).map { _ in .random(in: 0...255) })]
    let forged = ViewQuestion(id: ViewQuestionID.next(), event: .check, place: question.place)
    return request(for: forged, signedBy: forger)
  }

  /// - Returns: nil if a view that checks who asks may answer so.
  static func fault(ofAnswerToForged status: Int) -> TrialFault? {
    guard (200...299).contains(status) else { return nil }
    return TrialFault(
      text: "it answered \(status) to a question with a wrong signature, so it does not check the signature",
      hint:
        "compare X-Sluice-Signature before anything else: whoever reaches the view can say that he is any user",
      isWarning: true)
  }

  private func fault(
    of answer: UpstreamFetcher.Answer, to request: ViewRequest, _ wire: some ViewWire
  ) -> TrialFault? {
    let asked = Question(target: request.target, fields: request.fields)
    if let page = DjangoPage(answer, to: asked) {
      return TrialFault(text: page.found, hint: page.isOfHost ? TrialFault.hintOfHost : page.hintToView)
    }
    guard (200...299).contains(answer.status) else {
      return TrialFault(
        text: answer.found + Self.words(of: answer),
        hint: answer.hint(for: request.target) ?? hint(forStatus: answer.status))
    }
    do throws(AnswerFault) {
      _ = try wire.answer(in: answer, to: question)
      return nil
    } catch {
      return TrialFault(text: error.reason, hint: error.hint)
    }
  }

  /// What a view that refuses says about it, as `{"error": ...}` or as text: printable, and at most 200 characters.
  private static func words(of answer: UpstreamFetcher.Answer) -> String {
    guard let body = answer.body, !body.isEmpty, body.count <= 4096, !body.contains(UInt8(ascii: "<")) else {
      return ""
    }
    let members = try? JSON.parse(body.rawBytes)
    let said = members?["error"]?.string ?? members?["detail"]?.string
    guard let text = said ?? (members == nil ? String(validating: body, as: UTF8.self) : nil) else {
      return ""
    }
    return ": \"\(String(text.prefix(200)).printable)\""
  }

  private func hint(forStatus status: Int) -> String? {
    switch status {
    case 401 where view.secrets.isEmpty:
      "the route signs nothing (unsigned: true): the view must not ask for a signature; in sockets.py write unsigned = True in the class"
    case 401:
      "compare \"secret\" with that of the view, and the clocks of the two machines: a signature holds for 60 s"
    case 403:
      "decorate the view with @csrf_exempt; with Django REST framework write authentication_classes = [] and permission_classes = []"
    case 404:
      "compare the URL with urls.py; a question of kind \"check\" is about no session, so no row needs to exist for it"
    case 405: "give the view a method \"post\": questions are asked with POST"
    case 408, 429, 503: "the server has no room for this question now; try again"
    case 413: "the server refuses a body of some hundred bytes: look at its limit"
    default: nil
    }
  }
}
