import Consumers
import GatewayConfig
import Logging
import NIOCore
import Routing

/// An entry of `auth:` at work. Shared by all workers and the HTTP service; never used on a reactor.
enum Authenticator: Sendable {
  case tokens(TokenVerifier)
  case callback(IdentityCallback)

  /// - Parameter loops: for connections to authentication servers.
  init(
    _ configuration: AuthenticatorConfiguration, on loops: any EventLoopGroup, failures: UpstreamFailures,
    log: Logger
  ) {
    let name = configuration.name
    let late = LateExpiries(of: name, log: log)
    func server(_ upstream: UpstreamConfiguration) -> UpstreamFetcher {
      UpstreamFetcher(upstream, of: name, on: loops, failures: failures)
    }
    switch configuration.kind {
    case .jwt(let jwt):
      var keyServer: UpstreamFetcher?
      if case .set(.url(let url), _) = jwt.keys { keyServer = server(url) }
      let keys = KeyRing(jwt, of: name, server: keyServer, log: log)
      self = .tokens(TokenVerifier(jwt, keys: keys, late: late))
    case .callback(let callback):
      self = .callback(
        IdentityCallback(callback, server: server(callback.url), failures: failures, late: late))
    }
  }

  /// Nil where none is asked.
  var server: UpstreamFetcher? {
    switch self {
    case .tokens(let verifier): verifier.keyServer
    case .callback(let callback): callback.server
    }
  }
}

/// Who may use one route: its entry of `auth:`, and what the route itself requires of a client.
package struct RouteAuthenticator: Sendable {
  let rules: RouteAuth
  private let authenticator: Authenticator

  /// - Parameter all: in the order of the configuration.
  /// - Returns: nil for a route whose clients do not authenticate.
  init?(_ rules: RouteAuth?, of all: [Authenticator]) {
    guard let rules else { return nil }
    self.rules = rules
    authenticator = all[rules.authenticator]
  }

  /// Whether one of two routes admits the clients of the other one.
  static func continues(_ new: RouteAuthenticator?, _ old: RouteAuthenticator?) -> Bool {
    guard let new, let old else { return new == nil && old == nil }
    return new.rules.continues(old.rules)
  }

  /// Authenticates the client of a request, and checks the requirements of the route.
  package func authenticate(_ credentials: Credentials) async -> Authentication {
    switch authenticator {
    case .tokens(let verifier):
      switch credentials.token(from: verifier.configuration.sources) {
      case .token(let token): return check(await verifier.verify(token), of: nil, for: credentials.captures)
      case .several: return .refused(.badToken("there is more than one token"))
      case .nothing:
        if rules.isOptional { return .anonymous }
        let awaits = credentials.takesMessage && verifier.configuration.sources.contains(.message)
        if awaits { return .awaited }
        return .refused(.noToken(credentials.misplacedToken(for: verifier.configuration.sources)))
      }
    case .callback(let callback):
      let outcome = await callback.ask(credentials)
      // Only the server behind the callback knows whether the cookies contain credentials.
      if rules.isOptional, case .refused = outcome { return .anonymous }
      return check(outcome, of: rules.name, for: credentials.captures)
    }
  }

  /// The same for a token in a message.
  ///
  /// - Parameter captures: of the path.
  func authenticate(token: String, for captures: Captures) async -> Authentication {
    guard case .tokens(let verifier) = authenticator else { return .refused(.noToken) }
    return check(await verifier.verify(token), of: nil, for: captures)
  }

  /// Nil for a callback.
  private var tokens: JWTConfiguration? {
    if case .tokens(let verifier) = authenticator { verifier.configuration } else { nil }
  }

  /// Whether a client may send its first token, or another one, in a message.
  var takesMessages: Bool { tokens?.sources.contains(.message) == true || renews }

  /// Whether a client may send another token before its own expires.
  var renews: Bool { tokens?.expiry == .renew }

  /// Checks the requirements of the route.
  ///
  /// - Parameters:
  ///   - callback: the name of the callback that has answered; nil for a token.
  ///   - captures: of the path.
  private func check(
    _ outcome: Authentication, of callback: String?, for captures: Captures
  ) -> Authentication {
    guard case .identity(let identity) = outcome,
      let missing = rules.requirements.first(where: { !$0.holds(in: identity.claims, for: captures) })
    else { return outcome }
    var refusal = callback == nil ? AuthRefusal.notAllowed : .userNotAllowed
    let source = callback.map { "the answer of \"\($0)\"" } ?? "the token"
    refusal.detail = missing.fault(in: identity.claims, of: source, for: captures)
    return .refused(refusal)
  }
}
