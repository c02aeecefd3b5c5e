import Bytes
import Consumers
import GatewayConfig
import JSON
import Routing
import Transport
import WebSocketCore

/// Asks a view for the identity of a client. The view gets some fields of the client's request, and answers with a JSON object, or with
/// a refusal that is passed on to the client.
struct IdentityCallback: Sendable {
  let configuration: CallbackConfiguration
  let questions: ViewQuestions
  private let late: LateExpiries?

  init(
    _ configuration: CallbackConfiguration, server: UpstreamFetcher, failures: UpstreamFailures,
    late: LateExpiries? = nil
  ) {
    self.configuration = configuration
    self.late = late
    let names = configuration.userMembers
    questions = ViewQuestions(configuration.question, server: server, failures: failures) { members in
      guard let members else { return AnswerFault(reason: "the server answered 204, which names no user") }
      if members.userName(among: names, as: configuration.userType) == nil {
        let why = members.whyNoUser(among: names, as: configuration.userType)
        let isNobody = names.contains { members.claim($0) == .null }
        return AnswerFault(
          reason: "the answer does not name a user: \(why)",
          hint: isNobody
            ? "answer 401 where nobody is logged in"
            : Self.hint(for: configuration.userType, isOther: members.userName(among: names) != nil))
      }
      return AnswerFault(in: members)
    }
  }

  /// - Parameter isOther: whether there is a user, which is not of the type.
  private static func hint(for type: UserType?, isOther: Bool) -> String {
    guard let type else {
      return "write user: NAME beside callback.url, with the name of the member that names the user"
    }
    return isOther
      ? "take \"as: \(type.rawValue)\" out of \"user\" beside callback.url, or write {claim: NAME, as: \(type.rawValue)} for another member"
      : "write user: {claim: NAME, as: \(type.rawValue)} beside callback.url, with the name of the member that names the user"
  }

  /// - Parameters:
  ///   - long: the captures that may be several segments of the URL.
  ///   - groups: which groups an answer may name; nil where they do not matter.
  ///   - isRecheck: whether the client was let in before.
  func ask(
    _ credentials: Credentials, long: Set<String>, naming groups: GroupsFromView? = nil,
    isRecheck: Bool = false
  ) async -> Authentication {
    guard let target = configuration.question.target(for: credentials.request.captures, long: long) else {
      return .refused(AuthRefusal(answer: .badPlace))
    }
    do throws(AuthRefusal) {
      let token = try token(of: credentials)
      let question = Question(target: target, fields: fields(showing: credentials, token))
      let outcome = identity(await questions.ask(question, isRecheck: isRecheck), naming: groups)
      guard case .refused(var refusal) = outcome, token == nil, refusal.detail == nil else { return outcome }
      refusal.detail = misplacedToken(of: credentials)
      return .refused(refusal)
    } catch {
      return .refused(error)
    }
  }

  /// Asks about a client that shows no token, for `validate --connect`.
  ///
  /// - Parameter credentials: with captures that the URL can have.
  func tried(_ credentials: Credentials, long: Set<String>) async -> TriedQuestion {
    let target = configuration.question.target(for: credentials.request.captures, long: long)
    return await questions.tried(Question(target: target ?? "/", fields: fields(showing: credentials, nil)))
  }

  private func identity(_ verdict: Verdict, naming groups: GroupsFromView?) -> Authentication {
    switch verdict {
    case .unavailable: return .unavailable
    case .refused(let refusal): return .refused(refusal)
    case .accepted(let members):
      let names = configuration.userMembers
      guard let members, let user = members.userName(among: names, as: configuration.userType) else {
        return .unavailable
      }
      // By its own expiry the identity is not valid any more.
      guard !verdict.hasExpired else { return .refused(.badToken("the identity has expired")) }
      if let fault = questions.groupFault(in: members, for: groups) { return questions.unusable(fault) }
      late?.check(members.expiry)
      return .identity(
        Identity(user: user, claims: members, groups: members.groupNames ?? [], expires: members.expiry))
    }
  }

  // MARK: - What the view is shown

  /// All fields that the view gets. Its answer must depend on nothing else but the target.
  private func fields(showing credentials: Credentials, _ token: String?) -> [HeaderField] {
    var shown = credentials.fields(for: configuration.question, withoutParameters: tokenParameters)
    if let token {
      shown.append(HeaderField(name: "Authorization", value: "\(configuration.scheme) \(token)"))
    }
    return shown
  }

  /// The parameters of a query that may hold a token.
  var tokenParameters: [String] { configuration.sources.compactMap(\.parameter) }

  /// The token in one of the places of `from`; nil if there is none, or none is looked for.
  private func token(of credentials: Credentials) throws(AuthRefusal) -> String? {
    guard !configuration.sources.isEmpty else { return nil }
    let scheme = configuration.scheme
    switch credentials.token(from: configuration.sources, schemes: [scheme], isDecoded: true) {
    case .token(let token):
      guard token.isCredential else {
        throw AuthRefusal.oddToken.challenging(scheme)
      }
      return token
    case .several: throw AuthRefusal.severalTokens.challenging(scheme)
    case .different: throw AuthRefusal.differentTokens.challenging(scheme)
    case .nothing:
      // Without anything that could show who the client is, the view need not be asked what is wrong.
      let shows = credentials.fields.contains { configuration.question.headers.contains($0.name) }
      guard !shows, let fault = misplacedToken(of: credentials) else { return nil }
      throw AuthRefusal.noToken(fault).challenging(scheme)
    }
  }

  private func misplacedToken(of credentials: Credentials) -> String? {
    guard !configuration.sources.isEmpty else { return nil }
    return credentials.misplacedToken(for: configuration.sources, schemes: [configuration.scheme])
  }
}

extension TokenSource {
  /// The parameter of the query; nil for another place.
  var parameter: String? { if case .query(let name) = self { name } else { nil } }
}

extension String {
  /// Whether it can stand behind a scheme as one token: visible ASCII without a quote and a comma, which separate several (RFC 9110
  /// section 11.4).
  fileprivate var isCredential: Bool {
    utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: ",") }
  }
}
