import Consumers
package import GatewayConfig
import Logging
package import NIOCore
import Transport

/// Authenticates clients by the entries of `auth:`. Shared by all workers and the HTTP service; never used on a reactor.
package final class Authenticators: Sendable {
  private enum Authenticator: Sendable {
    case tokens(TokenVerifier)
    case callback(IdentityCallback)
  }

  /// In the order of the configuration. Routes refer to them by index.
  private let all: [Authenticator]
  private let servers: [UpstreamFetcher]

  init(_ configurations: [AuthenticatorConfiguration], failures: UpstreamFailures, log: Logger) {
    var servers: [UpstreamFetcher] = []
    func server(_ upstream: UpstreamConfiguration, of name: String) -> UpstreamFetcher {
      let server = UpstreamFetcher(upstream, of: name, failures: failures)
      servers.append(server)
      return server
    }
    all = configurations.map { configuration in
      switch configuration.kind {
      case .jwt(let jwt):
        var keyServer: UpstreamFetcher?
        if case .set(.url(let url), _) = jwt.keys { keyServer = server(url, of: configuration.name) }
        let keys = KeyRing(jwt, of: configuration.name, server: keyServer, log: log)
        return .tokens(TokenVerifier(jwt, keys: keys, late: LateExpiries(of: configuration.name, log: log)))
      case .callback(let callback):
        return .callback(
          IdentityCallback(
            callback, server: server(callback.url, of: configuration.name), failures: failures,
            late: LateExpiries(of: configuration.name, log: log)))
      }
    }
    self.servers = servers
  }

  /// - Parameter group: the event loops for connections to authentication servers.
  package func connect(on group: any EventLoopGroup) {
    for server in servers { server.connect(on: group) }
  }

  package func shutDown() async throws {
    for server in servers { try await server.shutDown() }
  }

  /// Authenticates the client of a request, and checks the requirements of the route.
  package func authenticate(_ credentials: Credentials, by auth: RouteAuth) async -> Authentication {
    switch all[auth.authenticator] {
    case .tokens(let verifier):
      switch credentials.token(from: verifier.configuration.sources) {
      case .token(let token): return check(await verifier.verify(token), auth, of: nil)
      case .several: return .refused(.badToken("there is more than one token"))
      case .nothing:
        if auth.isOptional { return .anonymous }
        let awaits = credentials.takesMessage && verifier.configuration.sources.contains(.message)
        if awaits { return .awaited }
        return .refused(.noToken(credentials.misplacedToken(for: verifier.configuration.sources)))
      }
    case .callback(let callback):
      let outcome = await callback.ask(credentials)
      // Only the server behind the callback knows whether the cookies contain credentials.
      if auth.isOptional, case .refused = outcome { return .anonymous }
      return check(outcome, auth, of: auth.name)
    }
  }

  /// The same for a token in a message.
  func authenticate(token: String, by auth: RouteAuth) async -> Authentication {
    guard case .tokens(let verifier) = all[auth.authenticator] else { return .refused(.noToken) }
    return check(await verifier.verify(token), auth, of: nil)
  }

  /// Whether a client of the route may send its first token, or another one, in a message. Behind a `proxy` route messages are
  /// for the upstream.
  func takeMessages(on route: WebSocketRoute) -> Bool {
    guard let auth = route.auth, case .tokens(let verifier) = all[auth.authenticator] else { return false }
    if case .proxy = route.consumer { return false }
    return verifier.configuration.sources.contains(.message) || verifier.configuration.expiry == .renew
  }

  /// Whether a client of the route may send another token before its own expires.
  func renews(_ auth: RouteAuth) -> Bool {
    guard case .tokens(let verifier) = all[auth.authenticator] else { return false }
    return verifier.configuration.expiry == .renew
  }

  /// Checks the requirements of the route.
  ///
  /// - Parameter callback: the name of the callback that has answered; nil for a token.
  private func check(_ outcome: Authentication, _ auth: RouteAuth, of callback: String?) -> Authentication {
    guard case .identity(let identity) = outcome,
      let missing = auth.requirements.first(where: { !$0.holds(in: identity.claims) })
    else { return outcome }
    var refusal = callback == nil ? AuthRefusal.notAllowed : .userNotAllowed
    let source = callback.map { "the answer of \"\($0)\"" } ?? "the token"
    refusal.detail = missing.fault(in: identity.claims, of: source)
    return .refused(refusal)
  }
}
