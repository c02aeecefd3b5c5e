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
      UpstreamFetcher(
        upstream, for: .authenticator(name, url: upstream.fixedURL), on: loops, failures: failures)
    }
    switch configuration.kind {
    case .jwt(let jwt):
      var keyServer: UpstreamFetcher?
      if case .set(.url(let url), _) = jwt.keys { keyServer = server(url) }
      let keys = KeyRing(jwt, of: name, server: keyServer, log: log)
      self = .tokens(TokenVerifier(jwt, keys: keys, late: late))
    case .callback(let callback):
      self = .callback(
        IdentityCallback(
          callback,
          server: UpstreamFetcher(
            callback.question.url, for: .authenticator(name, url: callback.question.shownURL), on: loops,
            failures: failures),
          failures: failures, late: late))
    }
  }

  /// Nil where none is asked.
  var server: UpstreamFetcher? {
    switch self {
    case .tokens(let verifier): verifier.keyServer
    case .callback(let callback): callback.questions.server
    }
  }
}
