import Consumers
import GatewayConfig
import Routing
import WebSocketCore

/// Who may use one route: its entry of `auth:`, what the route itself requires of a client, and the view that it asks.
package struct RouteAuthenticator: Sendable {
  let rules: RouteAuth
  private let authenticator: Authenticator
  private let permission: PermissionCheck?
  /// The groups that a view may name; nil where they do not matter.
  private let groups: GroupsFromView?

  /// - Parameters:
  ///   - all: in the order of the configuration.
  ///   - permissions: those of all routes.
  ///   - groups: see above.
  /// - Returns: nil for a route whose clients do not authenticate.
  init?(
    _ rules: RouteAuth?, of all: [Authenticator],
    asking permissions: [PermissionConfiguration: PermissionCheck] = [:], naming groups: GroupsFromView? = nil
  ) {
    guard let rules else { return nil }
    self.groups = groups
    self.rules = rules
    authenticator = all[rules.authenticator]
    permission = rules.permission.flatMap { permissions[$0] }
  }

  // MARK: - Before a client is let in

  /// Authenticates the client of a request, checks the requirements of the route, and asks whether the client may use it.
  ///
  /// - Parameter users: count the handshake of the user that is found; nil where the request is none.
  package func authenticate(_ credentials: Credentials, counting users: UserTable? = nil) async
    -> Authentication
  {
    await permitted(await identified(credentials, counting: users), credentials)
  }

  /// The same for a token in a message.
  ///
  /// - Parameters:
  ///   - credentials: of the handshake, if the route keeps them.
  ///   - captures: of the path.
  ///   - users: see above.
  func authenticate(
    token: String, _ credentials: Credentials?, for captures: Captures, counting users: UserTable? = nil
  ) async -> Authentication {
    guard case .tokens(let verifier) = authenticator else { return .refused(.noToken) }
    let outcome = check(await verifier.verify(token), of: nil, for: captures, counting: users)
    guard permission != nil else { return outcome }
    guard let credentials else { return .unavailable }
    return await permitted(outcome, credentials)
  }

  private func identified(_ credentials: Credentials, counting users: UserTable?) async -> Authentication {
    switch authenticator {
    case .tokens(let verifier): return await identified(credentials, by: verifier, counting: users)
    case .callback(let callback):
      let outcome = await callback.ask(credentials, long: rules.longCaptures, naming: groups)
      // Only the server behind the callback knows whether the cookies contain credentials.
      if rules.isOptional, case .refused(let refusal) = outcome, refusal.isOfUnknownClient {
        return .anonymous
      }
      return check(outcome, of: rules.name, for: credentials.request.captures, counting: users)
    }
  }

  private func identified(
    _ credentials: Credentials, by verifier: TokenVerifier, counting users: UserTable?
  ) async -> Authentication {
    let (sources, schemes) = (verifier.configuration.sources, verifier.configuration.schemes)
    switch credentials.token(from: sources, schemes: schemes) {
    case .token(let token):
      return check(
        await verifier.verify(token), of: nil, for: credentials.request.captures, counting: users)
    case .several: return .refused(.severalTokens)
    case .different: return .refused(.differentTokens)
    case .nothing:
      if rules.isOptional { return .anonymous }
      if credentials.takesMessage, sources.contains(.message) { return .awaited }
      return .refused(.noToken(credentials.misplacedToken(for: sources, schemes: schemes)))
    }
  }

  // MARK: - While a session is open

  /// After how long the views are asked again about a session: those that are.
  var rechecks: [StandingQuestion.View: Duration] {
    var times: [StandingQuestion.View: Duration] = [:]
    times[.callback] = callback?.configuration.question.recheck
    times[.permission] = permission?.configuration.question.recheck
    return times
  }

  /// Whether a session needs the request that opened it after that.
  var keepsCredentials: Bool { !rechecks.isEmpty || permission != nil && takesMessages }

  /// The part of a request that is needed to ask again. Tokens that are no part of a question are not kept.
  func kept(_ credentials: Credentials) -> Credentials {
    var names = Set(permission?.configuration.question.headers ?? [])
    var kept = credentials
    if let callback {
      names.formUnion(callback.configuration.question.headers)
      if !callback.configuration.sources.isEmpty { names.formUnion(["authorization", "cookie"]) }
    } else {
      (kept.query, kept.subprotocols) = (nil, [])
    }
    kept.fields = credentials.fields.filter { names.contains($0.name) }
    kept.request.target = Array(credentials.request.uri(without: tokenParameters).utf8)
    return kept
  }

  /// Asks again whether a client may stay.
  ///
  /// - Parameters:
  ///   - identity: nil for an anonymous client.
  ///   - views: those that are asked. What the other one has answered before still holds.
  func recheck(
    _ identity: Identity?, _ credentials: Credentials, asking views: Set<StandingQuestion.View>
  ) async -> Authentication {
    // What a permission has added is what it may take back.
    var outcome = (identity?.beforePermission ?? identity).map(Authentication.identity) ?? .anonymous
    if let callback, views.contains(.callback) {
      outcome = await callback.ask(credentials, long: rules.longCaptures, naming: groups, isRecheck: true)
      if rules.isOptional, identity == nil, case .refused(let refusal) = outcome, refusal.isOfUnknownClient {
        outcome = .anonymous
      }
      outcome = check(outcome, of: rules.name, for: credentials.request.captures, counting: nil)
    }
    if views.contains(.permission) { return await permitted(outcome, credentials, isRecheck: true) }
    guard case .identity(let new) = outcome, let answer = identity?.permission else { return outcome }
    return .identity(new.adding(answer))
  }

  // MARK: - What the route says

  private var callback: IdentityCallback? {
    if case .callback(let callback) = authenticator { callback } else { nil }
  }

  /// Nil for a callback.
  private var tokens: JWTConfiguration? {
    if case .tokens(let verifier) = authenticator { verifier.configuration } else { nil }
  }

  /// Whether a client may send its first token, or another one, in a message.
  var takesMessages: Bool { tokens?.takesMessages == true }

  /// Whether a client may send another token before its own expires.
  var renews: Bool { tokens?.expiry == .renew }

  /// Whether a view is asked about every token.
  var asksAboutTokens: Bool { permission != nil }

  /// Whether a session may outlast its token.
  var keepsSessions: Bool { tokens?.expiry == .keep }

  /// The parameters of a query that may hold a token: no server behind the gateway is told of them.
  var tokenParameters: [String] {
    callback?.tokenParameters ?? tokens?.sources.compactMap(\.parameter) ?? []
  }

  private func permitted(
    _ outcome: Authentication, _ credentials: Credentials, isRecheck: Bool = false
  ) async -> Authentication {
    guard let permission else { return outcome }
    let identity: Identity?
    switch outcome {
    case .identity(let known): identity = known
    case .anonymous: identity = nil
    case .awaited, .refused, .unavailable: return outcome
    }
    return await permission.ask(
      identity, credentials, hidden: tokenParameters, long: rules.longCaptures, naming: groups,
      isRecheck: isRecheck)
  }

  /// Checks how often the user has come, and then the requirements of the route.
  ///
  /// - Parameters:
  ///   - callback: the name of the callback that has answered; nil for a token.
  ///   - captures: of the path.
  private func check(
    _ outcome: Authentication, of callback: String?, for captures: Captures, counting users: UserTable?
  ) -> Authentication {
    guard case .identity(let identity) = outcome else { return outcome }
    if let seconds = users?.retryAfter(handshakeOf: identity.user) {
      return .refused(AuthRefusal(answer: .userOverLimit(retryAfter: seconds)))
    }
    guard
      let missing = rules.requirements.first(where: { !$0.holds(in: identity.claims, for: captures) })
    else { return outcome }
    var refusal = callback == nil ? AuthRefusal.notAllowed : .userNotAllowed
    let source = callback.map { "the answer of \"\($0)\"" } ?? "the token"
    refusal.detail = missing.fault(in: identity.claims, of: source, for: captures)
    return .refused(refusal)
  }
}

extension AuthRefusal {
  /// What is wrong with a token whatever a view says of it.
  private static let faultyTokens = Set([severalTokens, differentTokens, oddToken].map(\.answer.text))

  /// Whether it says only that the client is not known, so that it may be anonymous: not that its token is malformed, that a place does
  /// not exist, or that there were too many questions.
  fileprivate var isOfUnknownClient: Bool {
    [401, 403].contains(answer.answerStatus) && !Self.faultyTokens.contains(answer.text)
  }
}
