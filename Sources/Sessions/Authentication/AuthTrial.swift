import Bytes
package import GatewayConfig
import Logging
package import NIOCore
package import Routing
import Transport

/// Asks what the authentication of a route asks of other servers, for `validate --connect`: the view of a `callback`, that of a
/// `permission`, or the server of a key set. The client that it asks about shows nothing, so a refusal is a good answer.
package struct AuthTrial: Sendable {
  private enum Kind {
    case callback(CallbackConfiguration, name: String)
    /// - Parameter isOptional: whether there can be anonymous clients, so that such a question can come.
    case permission(PermissionConfiguration, isOptional: Bool)
    case keys(JWTConfiguration, UpstreamConfiguration)
  }

  private let kind: Kind
  /// A client that shows nothing. It has come by TLS: a project that redirects others to https is right to.
  private let credentials: Credentials
  private let long: Set<String>
  /// What is asked, as it is in the file.
  package let url: String
  private let place: String

  /// - Parameters:
  ///   - target: the path of an example of the route.
  ///   - host: one that clients ask for; nil if none is known.
  /// - Returns: those of the route; none where the URL of a question cannot have such captures.
  package static func all(
    of auth: RouteAuth, _ authenticators: [AuthenticatorConfiguration], target: RequestPath,
    captures: Captures,
    host: String?
  ) -> [AuthTrial] {
    var trials: [AuthTrial] = []
    func add(_ kind: Kind, to server: UpstreamConfiguration, url: String, at place: String) {
      let credentials = Credentials(
        inFields: [], query: nil, host: host ?? server.authority, client: Client(peer: .unix, isSecure: true),
        request: RequestPlace(target: Array("/\(target.text)".utf8), captures: captures))
      trials.append(
        AuthTrial(
          kind: kind, credentials: credentials, long: auth.longCaptures, url: url,
          place: "\(server.place) \(place)"))
    }
    func add(_ kind: Kind, _ question: QuestionConfiguration) {
      guard let target = question.target(for: captures, long: auth.longCaptures) else { return }
      add(kind, to: question.url, url: question.shownURL, at: target)
    }
    let authenticator = authenticators[auth.authenticator]
    switch authenticator.kind {
    case .callback(let callback): add(.callback(callback, name: authenticator.name), callback.question)
    case .jwt(let jwt):
      guard case .set(.url(let url), _) = jwt.keys else { break }
      add(.keys(jwt, url), to: url, url: url.fixedURL, at: url.fixedPath)
    }
    if let permission = auth.permission {
      add(.permission(permission, isOptional: auth.isOptional), permission.question)
    }
    return trials
  }

  /// What the server of `url` is for the operator.
  package var subject: String {
    switch kind {
    case .callback(_, let name): "the callback of auth \"\(name)\", \(url)"
    case .permission: "the permission \(url)"
    case .keys: "the key set \(url)"
    }
  }

  /// Two trials with the same one ask the same.
  package var key: String {
    // What is wrong with an answer depends on it.
    guard case .permission(_, let isOptional) = kind else { return "\(subject) \(place)" }
    return "\(subject) \(place) \(isOptional)"
  }

  package enum SubjectKind {
    case callback, permission, keySet
  }

  package var subjectKind: SubjectKind {
    switch kind {
    case .callback: .callback
    case .permission: .permission
    case .keys: .keySet
    }
  }

  /// - Returns: nil if the server has answered as it has to.
  package func run(on loops: any EventLoopGroup) async -> TrialFault? {
    let quiet = Logger(label: "trial") { _ in SwiftLogNoOpLogHandler() }
    let failures = UpstreamFailures(log: quiet)
    switch kind {
    case .callback(let callback, _):
      let server = UpstreamFetcher(callback.question.url, on: loops)
      let asked = IdentityCallback(callback, server: server, failures: failures)
      return await asked.tried(credentials, long: long).fault
    case .permission(let permission, let isOptional):
      let server = UpstreamFetcher(permission.question.url, on: loops)
      let asked = PermissionCheck(permission, server: server, failures: failures)
      let tried = await asked.tried(credentials, long: long)
      var fault = tried.fault
      // Such a question does not come where every client is known.
      if !isOptional, (500...599).contains(tried.answer?.status ?? 0) {
        fault?.text += "; it was asked about a client without a user"
        fault?.isWarning = true
      }
      return fault
    case .keys(let jwt, let url):
      let keys = KeyRing(jwt, server: UpstreamFetcher(url, on: loops), log: quiet)
      return await keys.tried().map { TrialFault(text: $0.reason, hint: $0.hint) }
    }
  }
}

/// What came of a question that was tried.
struct TriedQuestion {
  var question: Question
  /// Nil if none came.
  var answer: UpstreamFetcher.Answer?
  var outcome: Result<Verdict, AnswerFault>

  /// What is wrong; nil where it is a good answer about a client that shows nothing.
  fileprivate var fault: TrialFault? {
    switch outcome {
    case .failure(let fault):
      var hint = fault.hint
      if let answer, DjangoPage(answer, to: question)?.isOfHost == true { hint = TrialFault.hintOfHost }
      return TrialFault(
        text: fault.reason, hint: hint ?? answer.flatMap { TrialFault.hint(forStatus: $0.status) })
    case .success(.refused):
      guard let answer, let page = DjangoPage(answer, to: question) else { return nil }
      switch page {
      // Whether there is nothing for the example, or no URL, does not show unless Django says so.
      case .notFound where !answer.saysNoURLFits:
        return TrialFault(
          text: "\(page.found); it was asked for \(question.target)",
          hint: "compare the URL with urls.py; a room that is not there may be answered so", isWarning: true)
      default: return TrialFault(text: page.found, hint: page.hint)
      }
    case .success(.accepted), .success(.unavailable): return nil
    }
  }
}

extension UpstreamFetcher.Answer {
  /// The page of `DEBUG = True` says whether a URL has fitted.
  fileprivate var saysNoURLFits: Bool {
    guard let page = body?.rawBytes else { return false }
    return page.range(of: "match any of these") != nil || page.range(of: "is empty, so it doesn") != nil
  }
}
