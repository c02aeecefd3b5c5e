import GatewayConfig
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Transport

/// Serves the connections that are not WebSockets: takes their sockets over from the workers and lets Hummingbird's
/// HTTP/1 channel speak on them.
///
/// A request on such a connection that asks for a WebSocket after all, or for a stream of events, sends the socket back to a
/// worker.
final class HTTPSide: Sendable {
  private let gateway: GatewayState
  private let responder: HTTPResponder
  private let refusals: RefusalLog
  private let publisher: Publisher
  /// For the WebSocket side, whose upstreams are connected to on the loop here.
  let upstreams: UpstreamConnector
  private let group: MultiThreadedEventLoopGroup
  private let arrivals: AsyncStream<HandedOverConnection>
  private let arrive: AsyncStream<HandedOverConnection>.Continuation
  private let open = Mutex(OpenChannels())
  private let returns = Mutex<Returns>(Returns())

  private struct OpenChannels {
    enum Phase {
      case serving
      case stopping
      case abandoned
    }

    struct Entry {
      let channel: any Channel
      /// Nobody has to write for it to be found out that a client is gone.
      var silence = PeerSilence()
    }

    var entries: [ObjectIdentifier: Entry] = [:]
    /// Those whose clients are still to be looked for in this round.
    var unchecked: [ObjectIdentifier] = []
    var phase = Phase.serving

    var channels: [any Channel] { entries.values.map(\.channel) }
  }

  /// The workers that sockets go back to, in turn.
  private struct Returns {
    var workers: [Mailbox<WorkerMessage>] = []
    var next = 0
  }

  /// What may be kept of requests that are sent ahead, on each connection, before it is counted. Bytes.
  private static let freeAhead = 4096
  /// What a request head may have, as on the connections' first one. Bytes.
  private static let longestHead = 16 * 1024

  /// One read, several of which may wait on their way to whoever takes a body.
  private static let reads = AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 2048, maximum: 16384)

  /// How often it is looked at within the bound whether some of the clients are there, and in how many parts all of them.
  private static let looksPerBound: Int64 = 60
  private static let looksPerRound = 8

  init(gateway: GatewayState) {
    self.gateway = gateway
    refusals = RefusalLog(gateway: gateway)
    publisher = Publisher(memory: gateway.httpMemory) { [mail = gateway.mail] in mail.refused($0) }
    // Files, small answers, and what passes through: one loop does, and the reactors keep the processors.
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    self.group = group
    responder = HTTPResponder(gateway: gateway, publisher: publisher, on: group)
    upstreams = UpstreamConnector(on: group)
    gateway.authenticators.connect(on: group)
    (arrivals, arrive) = AsyncStream.makeStream()
    let loop = group.next()
    let look = TimeAmount.nanoseconds(
      Int64(clamping: gateway.clientSilence.wholeNanoseconds) / Self.looksPerBound)
    loop.scheduleRepeatedTask(initialDelay: look, delay: look) { [weak self] _ in
      self?.checkPeers()
    }
  }

  /// Makes the workers known, before the first connection is handed over.
  func connect(to workers: [Mailbox<WorkerMessage>]) {
    returns.withLock { $0.workers = workers }
    publisher.connect(to: workers)
  }

  /// Takes a connection over. Callable from any thread; bounded by the limit on connections.
  func serve(_ connection: HandedOverConnection) {
    if case .terminated = arrive.yield(connection) {
      discard(connection)
    }
  }

  /// Serves until `stop` was called and the last connection is closed.
  func run() async {
    await withDiscardingTaskGroup { work in
      work.addTask { await self.publisher.run() }
      await withDiscardingTaskGroup { tasks in
        for await connection in arrivals {
          tasks.addTask { await self.converse(on: connection) }
        }
      }
      publisher.finish()
    }
  }

  /// Lets requests that are being answered finish, and takes nothing new.
  func stop() {
    arrive.finish()
    for channel in enter(.stopping) { Self.tell(channel, .stopping) }
  }

  /// Closes what is left, and what still arrives.
  func abandon() {
    publisher.abandon()
    for channel in enter(.abandoned) { Self.tell(channel, .abandoned) }
  }

  private func enter(_ phase: OpenChannels.Phase) -> [any Channel] {
    open.withLock { open in
      open.phase = phase
      return open.channels
    }
  }

  private static func tell(_ channel: any Channel, _ phase: OpenChannels.Phase) {
    switch phase {
    case .serving: break
    case .stopping: channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    case .abandoned: channel.pipeline.fireUserInboundEventTriggered(UnsentBytes.Abandon())
    }
  }

  /// Ends the event loop; after `run` has returned.
  func shutDown() async throws {
    try await responder.shutDown()
    try await gateway.authenticators.shutDown()
    try await group.shutdownGracefully()
  }
}

// MARK: - Clients that are gone

extension HTTPSide {
  /// Ends connections whose clients owe the system an answer for too long (as those of event streams), while a request is answered,
  /// or its answer is on the way. One that has nothing on its way is found by `KeepAliveProbes`; one that merely does not read
  /// answers the system all the same. On the event loop.
  private func checkPeers() {
    let now = MonotonicTime.now.nanoseconds
    let bound = gateway.clientSilence.wholeNanoseconds
    let gone = open.withLock { open in
      if open.unchecked.isEmpty { open.unchecked = Array(open.entries.keys) }
      let count = (open.entries.count + Self.looksPerRound - 1) / Self.looksPerRound
      let part = open.unchecked.suffix(count)
      open.unchecked.removeLast(part.count)
      return part.compactMap { id -> (any Channel)? in
        guard let channel = open.entries[id]?.channel, let socket = Self.socket(of: channel) else {
          return nil
        }
        let isGone = open.entries[id]?.silence.isOver(
          at: now, bound: bound, PeerReport(ofSocket: socket))
        guard isGone == true else { return nil }
        PeerReport.dropUnsent(ofSocket: socket)
        return channel
      }
    }
    for channel in gone { Self.tell(channel, .abandoned) }
  }

  /// To be used at once, on the event loop; the channel closes it.
  private static func socket(of channel: any Channel) -> NIOBSDSocket.Handle? {
    let pipeline = channel.pipeline.syncOperations
    return (try? pipeline.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { $0 }) ?? nil
  }
}

// MARK: - One connection

extension HTTPSide {
  /// A connection on its way through here.
  private final class Visit: Sendable {
    let client: Client
    /// Whether a worker has it now, and counts it.
    let hasLeft = Atomic(false)

    init(of client: Client) {
      self.client = client
    }
  }

  private func converse(on connection: HandedOverConnection) async {
    let visit = Visit(of: connection.client)
    let http = HTTP1Channel(
      responder: { [self] request, writer, channel in
        let upload = Upload(request, on: channel)
        // Cancelled and waited for at the end of this scope, however it is left.
        async let _ = upload?.pump()
        let (client, refusal) = gateway.client(of: request, behind: visit.client)
        let response =
          if let refusal { refusal } else {
            try await respond(to: request, upload, of: visit, as: client, on: channel)
          }
        try await writer.write(response: response.head, body: response.body)
        // Until here it takes up a place of its address.
        withExtendedLifetime(client.place) {}
      },
      configuration: .init(
        idleTimeout: TimeAmount(gateway.server.keepAlive),
        httpDecoderConfiguration: .init(
          maxHeaderFieldSize: Self.longestHead, maxHeaderListSize: Self.longestHead)))
    do {
      let value = try await takeOver(connection, http)
      await serve(on: value.channel) { [log = gateway.log] in await http.handle(value: value, logger: log) }
    } catch {
      gateway.log.debug("an HTTP connection could not be taken over", metadata: ["error": "\(error)"])
    }
    if !visit.hasLeft.load(ordering: .acquiring) { gateway.counters.connections.down() }
  }

  private func takeOver(_ connection: HandedOverConnection, _ http: HTTP1Channel) async throws
    -> HTTP1Channel.Value
  {
    // Small requests that are sent ahead are everybody's.
    let share = MemoryShare(of: gateway.httpMemory.ahead, free: Self.freeAhead)
    return try await ClientBootstrap(group: group)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .channelOption(.maxMessagesPerRead, value: 1)
      .channelOption(.recvAllocator, value: Self.reads)
      .withConnectedSocket(connection.descriptor) { [log = gateway.log, refusals] channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandlers(
            UnsentBytes(), FirstBytes(connection.bytes), RequestGate(share: share))
        }.flatMap {
          http.setup(channel: channel, logger: log)
        }.flatMapThrowing { value in
          let pipeline = channel.pipeline.syncOperations
          let gate = try pipeline.handler(type: RequestGate.self)
          let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
          let rules = MessageRules(gate: gate) { refusal in
            refusals.record(refusal, target: nil, peer: connection.client.peer)
          }
          try pipeline.addHandler(rules, position: .after(decoder))
          return value
        }
      }
  }

  /// Answers requests until the channel is closed, by whomever; what is being done for it then is cancelled.
  private func serve(on channel: any Channel, _ handle: @escaping @Sendable () async -> Void) async {
    let phase = open.withLock { open in
      open.entries[ObjectIdentifier(channel)] = .init(channel: channel)
      return open.phase
    }
    Self.tell(channel, phase)
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { await handle() }
      // It never fails.
      try? await channel.closeFuture.get()
      tasks.cancelAll()
    }
    _ = open.withLock { $0.entries.removeValue(forKey: ObjectIdentifier(channel)) }
  }

  private func discard(_ connection: HandedOverConnection) {
    _ = Descriptor(adopting: connection.descriptor)
    gateway.counters.connections.down()
  }

  private func respond(
    to request: Request, _ upload: Upload?, of visit: Visit, as client: Client, on channel: any Channel
  ) async throws -> Response {
    let target = Array((request.head.path ?? "/").utf8)
    if request.wantsWebSocket || gateway.isForEventStream(method: request.method.rawValue, target: target) {
      try await sendBack(request, of: visit, channel: channel)
      throw LeftForWorker()
    }
    return try await responder.respond(to: request, upload, from: client, on: channel)
  }

  /// Gives a duplicate of the socket to a worker; closing the channel then closes only this side's descriptor.
  private func sendBack(_ request: Request, of visit: Visit, channel: any Channel) async throws {
    let copy = try await channel.eventLoop.submit {
      try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
        try Descriptor.duplicate(of: $0).take()
      }
    }.get()
    guard let copy else { throw LeftForWorker() }
    let descriptor = Descriptor(adopting: copy)
    // Before the worker has it: what Hummingbird does at the end would shut the socket down, not only close this side of it.
    // Earlier answers are sent by then; where that fails, the connection ends here.
    try await channel.close()
    visit.hasLeft.store(true, ordering: .releasing)
    let worker = returns.withLock { returns in
      defer { returns.next = (returns.next + 1) % returns.workers.count }
      return returns.workers[returns.next]
    }
    let handedOver = HandedOverConnection(
      descriptor: descriptor.take(), bytes: request.headBytes, client: visit.client)
    if !worker.post(.takeOver(handedOver)) { discard(handedOver) }
  }
}

/// Ends Hummingbird's handling of a connection that a worker has now.
private struct LeftForWorker: Error {}
