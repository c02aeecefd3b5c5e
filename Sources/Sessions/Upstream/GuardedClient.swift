package import AsyncHTTPClient
package import GatewayConfig
package import NIOCore
import NIOHTTP1

extension HTTPClientRequest {
  /// A request to an upstream, for a client that `HTTPClient.guarded` has made.
  ///
  /// - Parameter target: sent to the server byte for byte. (The client's own URLs are parsed by Foundation, which encodes
  ///   unexpected characters again.)
  package init(to upstream: UpstreamConfiguration, target: String) {
    self.init(url: upstream.base + "/")
    headers.add(name: AnswerGuard.targetField, value: target)
  }
}

extension HTTPClient {
  /// Makes an HTTP client whose servers have to follow `AnswerRules`. All of Sluice's clients are made here, because without
  /// the guard a server can end the process.
  ///
  /// It supports HTTP/1.1 only, follows no redirects and decompresses nothing.
  ///
  /// - Parameters:
  ///   - patience: how long a server may accept nothing of a request's body.
  ///   - refuse: says of a new connection why nothing is sent on it, if so. Called on its event loop.
  ///   - configure: sets other differences from AsyncHTTPClient's defaults.
  package static func guarded(
    on loops: EventLoopGroupProvider, patience: TimeAmount = .seconds(60),
    refusing refuse: @escaping @Sendable (any Channel) -> (any Error)? = { _ in nil },
    _ configure: (inout Configuration) -> Void
  ) -> HTTPClient {
    var configuration = Configuration()
    configuration.redirectConfiguration = .disallow
    configuration.decompression = .disabled
    configuration.httpVersion = .http1Only
    configuration.connectionPool.retryConnectionEstablishment = false
    configure(&configuration)
    // Called for each HTTP/1.1 connection, plain or TLS, when the client's handlers are in its pipeline and nothing was read.
    configuration.http1_1ConnectionDebugInitializer = { channel in
      guard let refusal = refuse(channel) else { return AnswerGuard.protect(channel, patience: patience) }
      channel.close(promise: nil)
      return channel.eventLoop.makeFailedFuture(refusal)
    }
    return HTTPClient(eventLoopGroupProvider: loops, configuration: configuration)
  }

  /// Makes the client for one upstream.
  ///
  /// - Parameters:
  ///   - group: the event loops for its connections.
  ///   - kept: the most connections.
  static func guarded(
    for upstream: UpstreamConfiguration, on group: any EventLoopGroup, kept: Int,
    _ configure: (inout Configuration) -> Void = { _ in }
  ) -> HTTPClient {
    guarded(on: .shared(group), patience: TimeAmount(upstream.readTimeout)) { configuration in
      configuration.timeout.connect = TimeAmount(upstream.connectTimeout)
      if upstream.scheme.isSecure { configuration.tlsConfiguration = upstream.trust.clientConfiguration }
      configuration.connectionPool.idleTimeout = TimeAmount(upstream.idleTimeout)
      configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = kept
      configure(&configuration)
    }
  }
}
