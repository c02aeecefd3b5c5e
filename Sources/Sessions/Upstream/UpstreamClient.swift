package import AsyncHTTPClient
package import GatewayConfig
import Logging
package import NIOCore
import NIOHTTP1
import Synchronization

/// An HTTP client for one upstream, which keeps connections for `idle_timeout` and reuses them.
///
/// A server may close a kept connection at the moment when the next request is on its way. A repeatable request is then sent
/// once more, on a new connection (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1).
///
/// It closes its connections with the last reference: where what is served is exchanged, that of the last request under way.
package final class UpstreamClient: Sendable {
  private let upstream: UpstreamConfiguration
  private let user: UpstreamUser
  private let kept: HTTPClient
  /// For requests that are sent once more. Never reuses a connection.
  private let fresh: HTTPClient
  private let failures: UpstreamFailures?
  private let isShutDown = Atomic(false)

  private static let quiet = Logger(label: "upstream") { _ in SwiftLogNoOpLogHandler() }
  /// RFC 9110 section 9.2.2.
  private static let idempotent: Set<String> = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]

  /// - Parameters:
  ///   - user: who makes the requests, for the log.
  ///   - group: the event loops for the connections.
  ///   - connections: the most connections at a time.
  ///   - failures: notified of requests that were sent twice.
  package init(
    _ upstream: UpstreamConfiguration, of user: UpstreamUser, on group: any EventLoopGroup,
    connections: Int, failures: UpstreamFailures?,
    _ configure: (inout HTTPClient.Configuration) -> Void = { _ in }
  ) {
    self.upstream = upstream
    self.user = user
    self.failures = failures
    kept = HTTPClient.guarded(for: upstream, on: group, kept: connections, configure)
    fresh = HTTPClient.guarded(for: upstream, on: group, kept: connections, configure)
  }

  deinit {
    guard !isShutDown.load(ordering: .relaxed) else { return }
    for client in [kept, fresh] { client.shutdown { _ in } }
  }

  /// Before the end of the event loops.
  package func shutDown() async throws {
    isShutDown.store(true, ordering: .relaxed)
    async let other: Void = fresh.shutdown()
    try await kept.shutdown()
    try await other
  }

  package func execute(_ request: HTTPClientRequest) async throws -> HTTPClientResponse {
    do {
      return try await kept.execute(request, deadline: .distantFuture, logger: Self.quiet)
    } catch  where Self.mayRepeat(request, after: error) {
      failures?.recordRepeat(upstream, of: user)
      var request = request
      request.headers.add(name: "Connection", value: "close")
      return try await fresh.execute(request, deadline: .distantFuture, logger: Self.quiet)
    }
  }

  private static func mayRepeat(_ request: HTTPClientRequest, after error: any Error) -> Bool {
    guard request.body == nil, idempotent.contains(request.method.rawValue), !Task.isCancelled else {
      return false
    }
    return switch error {
    case UpstreamFault.closedIdle: true
    // The connection was closed before the request was written to it. The guard reports all other ends.
    case let error as HTTPClientError: error == .remoteConnectionClosed
    default: false
    }
  }
}
