import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Transport

/// Serves the connections that are not WebSockets: takes their sockets over from the workers and lets Hummingbird's
/// HTTP/1 channel speak on them.
///
/// A request on such a connection that asks for a WebSocket after all sends the socket back to a worker.
final class HTTPSide: Sendable {
  private let gateway: GatewayState
  private let responder: HTTPResponder
  /// For the WebSocket side, whose upstreams are connected to on the loop here.
  let upstreams: UpstreamConnector
  private let group: MultiThreadedEventLoopGroup
  private let arrivals: AsyncStream<HandedOverConnection>
  private let arrive: AsyncStream<HandedOverConnection>.Continuation
  private let open = Mutex(OpenChannels())
  private let returns = Mutex<Returns>(Returns())

  private struct OpenChannels {
    var channels: [ObjectIdentifier: any Channel] = [:]
    var isStopping = false
  }

  /// The workers that sockets go back to, in turn.
  private struct Returns {
    var workers: [Mailbox<WorkerMessage>] = []
    var next = 0
  }

  /// A kept-alive connection that asks for nothing is closed after this.
  private static let idleTimeout = TimeAmount.seconds(60)

  init(gateway: GatewayState) {
    self.gateway = gateway
    // Files, small answers, and what passes through: one loop does, and the reactors keep the processors.
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    self.group = group
    responder = HTTPResponder(gateway: gateway, on: group)
    upstreams = UpstreamConnector(on: group)
    (arrivals, arrive) = AsyncStream.makeStream()
  }

  /// Makes the workers known, before the first connection is handed over.
  func connect(to workers: [Mailbox<WorkerMessage>]) {
    returns.withLock { $0.workers = workers }
  }

  /// Takes a connection over. Callable from any thread; bounded by the limit on connections.
  func serve(_ connection: HandedOverConnection) {
    if case .terminated = arrive.yield(connection) {
      discard(connection)
    }
  }

  /// Serves until `stop` was called and the last connection is closed.
  func run() async {
    await withDiscardingTaskGroup { tasks in
      for await connection in arrivals {
        tasks.addTask { await self.converse(on: connection) }
      }
    }
  }

  /// Lets requests that are being answered finish, and takes nothing new.
  func stop() {
    arrive.finish()
    let channels = open.withLock { open in
      open.isStopping = true
      return Array(open.channels.values)
    }
    for channel in channels {
      channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    }
  }

  /// Closes what is left.
  func abandon() {
    for channel in open.withLock({ Array($0.channels.values) }) {
      channel.close(promise: nil)
    }
  }

  /// Ends the event loop; after `run` has returned.
  func shutDown() async throws {
    try await responder.shutDown()
    try await group.shutdownGracefully()
  }
}

// MARK: - One connection

extension HTTPSide {
  private func converse(on connection: HandedOverConnection) async {
    let channelSetup = HTTP1Channel(
      responder: { [self] request, writer, channel in
        // Who waits for the word before it sends the body gets it; a body that is not wanted is read and dropped.
        if request.headers[.expect]?.lowercased() == "100-continue" {
          try await writer.writeInformationalHead(HTTPResponse(status: .continue))
        }
        let response = try await respond(to: request, from: connection.peer, on: channel)
        try await writer.write(response: response.head, body: response.body)
      },
      configuration: .init(idleTimeout: Self.idleTimeout))
    let log = gateway.log
    do {
      let value = try await ClientBootstrap(group: group)
        .channelOption(.allowRemoteHalfClosure, value: true)
        .withConnectedSocket(connection.descriptor) { channel in
          channel.eventLoop.makeCompletedFuture {
            let replay = FirstBytes(connection.bytes)
            try channel.pipeline.syncOperations.addHandler(replay)
          }.flatMap {
            channelSetup.setup(channel: channel, logger: log)
          }
        }
      let channel = value.channel
      let isStopping = open.withLock { open in
        open.channels[ObjectIdentifier(channel)] = channel
        return open.isStopping
      }
      if isStopping { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
      await channelSetup.handle(value: value, logger: log)
      _ = open.withLock { $0.channels.removeValue(forKey: ObjectIdentifier(channel)) }
    } catch {
      log.debug("an HTTP connection could not be taken over", metadata: ["error": "\(error)"])
    }
    gateway.counters.connections.down()
  }

  private func discard(_ connection: HandedOverConnection) {
    _ = Descriptor(adopting: connection.descriptor)
    gateway.counters.connections.down()
  }

  private func respond(
    to request: Request, from peer: PeerAddress, on channel: any Channel
  ) async throws -> Response {
    if request.wantsWebSocket {
      try await sendBack(request, from: peer, channel: channel)
      throw LeftForWorker()
    }
    return await responder.respond(to: request, from: peer, on: channel)
  }

  /// Gives a duplicate of the socket to a worker; closing the channel then closes only this side's descriptor.
  private func sendBack(_ request: Request, from peer: PeerAddress, channel: any Channel) async throws {
    let descriptor = try await channel.eventLoop.submit {
      try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
        try Descriptor.duplicate(of: $0).take()
      }
    }.get()
    guard let descriptor else { throw LeftForWorker() }
    // Before the worker has it: what Hummingbird does at the end would shut the socket down, not only close this side of it.
    try await channel.close()
    let worker = returns.withLock { returns in
      defer { returns.next = (returns.next + 1) % returns.workers.count }
      return returns.workers[returns.next]
    }
    gateway.counters.connections.up()
    let handedOver = HandedOverConnection(descriptor: descriptor, bytes: request.headBytes, peer: peer)
    if !worker.post(.takeOver(handedOver)) { discard(handedOver) }
  }
}

/// Ends Hummingbird's handling of a connection that a worker has now.
private struct LeftForWorker: Error {}

/// Gives the pipeline what the worker had read, before anything that is read from the socket.
private final class FirstBytes: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private let bytes: [UInt8]

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  func channelActive(context: ChannelHandlerContext) {
    context.fireChannelActive()
    context.fireChannelRead(wrapInboundOut(context.channel.allocator.buffer(bytes: bytes)))
    context.fireChannelReadComplete()
    context.pipeline.syncOperations.removeHandler(self, promise: nil)
  }
}
