import ChannelLayers
import GatewayConfig
import NIOCore
import NIOPosix
import Transport

/// Opens connections to upstreams for the workers. A name may have to be looked up and a server may not answer, so neither
/// happens on a reactor; what the worker gets is a connected socket.
final class UpstreamConnector: Sendable {
  private let group: any EventLoopGroup

  init(on group: any EventLoopGroup) {
    self.group = group
  }

  /// - Parameter done: called once, on any thread; whoever takes the descriptor owns it.
  func connect(
    to upstream: UpstreamConfiguration, _ done: @escaping @Sendable (Result<Int32, any Error>) -> Void
  ) {
    ClientBootstrap(group: group).probingWhenSilent()
      .connectTimeout(.nanoseconds(Int64(upstream.connectTimeout.wholeNanoseconds)))
      // The first bytes are for whoever gets the socket.
      .channelOption(.autoRead, value: false)
      .connect(host: upstream.host, port: upstream.port)
      .flatMapThrowing { channel in
        let copy = try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
          of: NIOBSDSocket.Handle.self
        ) { try Descriptor.duplicate(of: $0).take() }
        // Only this side's descriptor; the connection lives on in the other one.
        channel.close(promise: nil)
        guard let copy else { throw ChannelError.operationUnsupported }
        return copy
      }
      .whenComplete(done)
  }
}
