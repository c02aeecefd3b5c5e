import GatewayConfig
import NIOCore
import NIOPosix
import NetworkFaults

/// Opens connections to upstreams for the workers. A name may have to be looked up and a server may not answer, so neither
/// happens on a reactor. The worker gets a connected socket.
final class UpstreamConnector: Sendable {
  private let group: any EventLoopGroup

  /// The most unsent bytes that the kernel accepts for a Unix socket; by default it accepts some 200 KiB.
  private static let socketBuffer = ChannelOptions.Types.SocketOption.Value(16 * 1024)

  init(on group: any EventLoopGroup) {
    self.group = group
  }

  /// - Parameter done: called once, on any thread. The callee owns the descriptor.
  func connect(
    to upstream: UpstreamConfiguration, _ done: @escaping @Sendable (Result<Int32, any Error>) -> Void
  ) {
    // The first bytes are for the owner of the socket, so the channel must not read them.
    let bootstrap = ClientBootstrap(group: group).channelOption(.autoRead, value: false)
      .connectTimeout(TimeAmount(upstream.connectTimeout))
    let connecting =
      if let socket = upstream.socket {
        bootstrap.channelOption(.socketOption(.so_sndbuf), value: Self.socketBuffer)
          .connect(unixDomainSocketPath: socket)
      } else {
        bootstrap.probingWhenSilent().connect(host: upstream.host, port: upstream.port)
      }
    connecting
      .flatMapThrowing { channel in
        // Closes only its own descriptor; the connection lives on in the other one.
        defer { channel.close(promise: nil) }
        return try channel.duplicateSocket()
      }
      .whenComplete(done)
  }
}
