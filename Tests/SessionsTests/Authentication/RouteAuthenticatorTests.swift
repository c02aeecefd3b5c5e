import LayerTestSupport
import NIOPosix
import TestSupport
import Testing

@testable import GatewayConfig
@testable import Sessions

struct RouteAuthenticatorTests {
  /// A route whose view is asked again after that time, or not.
  private func authenticator(recheck: String?) throws -> (RouteAuthenticator, UpstreamFetcher) {
    let again = recheck.map { ", recheck: \($0)" } ?? ""
    let configuration = try ConfigurationLoader.configuration(
      of: """
        installed_apps: [echo]
        auth: {site: {callback: {url: "http://127.0.0.1:1/me/"\(again)}}}
        applications:
          main:
            websocket:
              - {path: ws/, consumer: echo, auth: site}
        """)
    let entry = Authenticator(
      configuration.authenticators[0], on: MultiThreadedEventLoopGroup.singleton,
      failures: UpstreamFailures(log: .quiet), log: .quiet)
    let rules = configuration.served.webSocketRoutes[0].auth
    return (try #require(RouteAuthenticator(rules, of: [entry])), try #require(entry.server))
  }

  @Test func `a session of which nothing was kept cannot go on where a view is asked again`() async throws {
    let (without, often, rarely) = (
      try authenticator(recheck: nil), try authenticator(recheck: "1s"), try authenticator(recheck: "1h")
    )
    #expect(!RouteAuthenticator.continues(often.0, without.0))
    #expect(RouteAuthenticator.continues(without.0, often.0))
    #expect(RouteAuthenticator.continues(often.0, rarely.0))
    #expect(RouteAuthenticator.continues(without.0, without.0))
    for (_, server) in [without, often, rarely] { try await server.shutDown() }
  }
}
