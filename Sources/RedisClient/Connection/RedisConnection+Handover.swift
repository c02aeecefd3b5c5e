import NIOCore
import NIOPosix
package import Transport

extension RedisConnection {
  /// What another program needs to go on with the connection, which has to be paused. Must be called on the event loop.
  ///
  /// - Returns: nil where none can: with TLS, whose keys are this program's, and while something is sent or answered.
  package func handedOver() -> HandedSocket? {
    guard isPaused, let unread = handler?.unread,
      (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) == 0,
      let options = channel as? any SocketOptionProvider
    else { return nil }
    // The loop answers at once to itself.
    var cookie: UInt64?
    let asked: EventLoopFuture<UInt64> = options.unsafeGetSocketOption(
      level: SocketOptionLevel(Descriptor.cookieOption.level),
      name: SocketOptionName(Descriptor.cookieOption.name))
    asked.assumeIsolated().whenSuccess { cookie = $0 }
    return cookie.flatMap(Descriptor.ofSocket(withCookie:)).map {
      HandedSocket(descriptor: $0, unread: unread)
    }
  }
}

extension RedisConnector {
  /// Goes on with a connection that another program has had. It is logged in, and nothing is received before `subscribe`.
  package func adopt(_ handed: HandedSocket) async throws(RedisFailure) -> RedisConnection {
    do {
      let bootstrap = ClientBootstrap(group: eventLoop)
        .channelOption(.autoRead, value: false)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(RedisConnectionHandler(unread: handed.unread))
          }
        }
      Descriptor.setInherited(handed.descriptor, false)
      var connection = try await Self.wait(for: bootstrap.withConnectedSocket(handed.descriptor))
      connection.isAdopted = true
      return connection
    } catch {
      throw RedisFailure(connecting: error)
    }
  }
}
