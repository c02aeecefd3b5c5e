import GatewayConfig
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Routing
import Sessions
import Synchronization
import Transport
import WebSocketCore

/// Serves files and proxied requests: takes over the sockets of connections from the workers, and runs Hummingbird's HTTP/1
/// channel on them.
///
/// If a request on such a connection is for anything else, the socket goes back to a worker.
final class HTTPService: Sendable {
  private let gateway: GatewayState
  private let responder: HTTPResponder
  private let refusals: RefusalLog
  /// For the workers, which connect to upstreams on this service's event loop.
  let upstreams: UpstreamConnector
  private let arrivals: AsyncStream<HandedOverConnection>
  private let arrive: AsyncStream<HandedOverConnection>.Continuation
  private let open = Mutex(OpenChannels())
  private let counted = Mutex(Load())
  private let returns = Mutex(Returns())

  /// The connections that this service has, from when a worker gives one away until it is closed or a worker has it again. Those behind a
  /// relay are left out: the relay counts them.
  struct Load: Equatable {
    var count = 0
    /// How many have come so far. A look at the workers between two looks at this sees all connections if no further one has come.
    var arrived = 0
  }

  private struct OpenChannels {
    enum Phase {
      case serving
      /// - Parameter time: in which a last request may come.
      case stopping(Duration)
      case abandoned
    }

    struct Entry {
      let channel: any Channel
      /// Finds a vanished client without writing to it.
      var silence = PeerSilence()

      mutating func channelOfLostPeer(at now: MonotonicTime, bound: Duration) -> (any Channel)? {
        channel.hasLostPeer(&silence, at: now, bound: bound) ? channel : nil
      }
    }

    var entries: [ObjectIdentifier: Entry] = [:]
    /// Connections whose clients are still to be checked in this round.
    var unchecked: [ObjectIdentifier] = []
    var phase = Phase.serving
  }

  /// The workers that get sockets back, in turn.
  private struct Returns {
    var workers: [Mailbox<WorkerMessage>] = []
    var next = 0
  }

  /// How many bytes of early requests each connection may keep before they are counted.
  private static let freeAhead = 4096
  /// The longest request head, as for the first one of a connection. Bytes.
  private static let longestHead = 16 * 1024

  /// The size of one read. Several may wait for the reader of a body.
  private static let reads = AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 2048, maximum: 16384)

  /// How often it is looked at within the bound whether some of the clients are there, and in how many parts all of them.
  private static let looksPerBound: Int64 = 60
  private static let looksPerRound = 8

  init(gateway: GatewayState) {
    self.gateway = gateway
    refusals = RefusalLog(gateway.process)
    responder = HTTPResponder(gateway: gateway)
    upstreams = UpstreamConnector(on: gateway.process.loops)
    (arrivals, arrive) = AsyncStream.makeStream()
    let loop = gateway.process.loops.next()
    let look = TimeAmount.nanoseconds(
      Int64(clamping: gateway.clientSilence.wholeNanoseconds) / Self.looksPerBound)
    loop.scheduleRepeatedTask(initialDelay: look, delay: look) { [weak self] _ in
      self?.checkPeers()
    }
  }

  /// Registers the workers, before the first connection is handed over.
  func connect(to workers: [Mailbox<WorkerMessage>]) {
    returns.withLock { $0.workers = workers }
    gateway.publisher.connect(to: workers)
  }

  /// Takes over a connection. Can be called from any thread; bounded by the limit on connections.
  func serve(_ connection: HandedOverConnection) {
    if !connection.isRelayed {
      counted.withLock { load in
        load.count += 1
        load.arrived += 1
      }
    }
    guard case .terminated = arrive.yield(connection) else { return }
    discard(connection)
    ended(connection)
  }

  private func ended(_ connection: HandedOverConnection) {
    if !connection.isRelayed { counted.withLock { $0.count -= 1 } }
  }

  /// Serves until `endArrivals` was called, and the last connection is closed or has gone back to a worker that waits for it.
  func run() async {
    await withDiscardingTaskGroup { tasks in
      for await connection in arrivals {
        tasks.addTask { await self.serveHTTP(on: connection) }
      }
    }
  }

  /// Lets the current requests finish, and answers those that come soon on connections that are open. The workers may still hand
  /// over such connections.
  func stop(within grace: Duration) {
    enter(.stopping(LastRequests.time(within: grace)))
  }

  /// Nothing stops after all.
  func goOn() {
    enter(.serving)
  }

  var load: Load { counted.withLock(\.self) }

  /// No worker hands over a connection any more.
  func endArrivals() {
    arrive.finish()
  }

  /// Closes the remaining connections, and those that still arrive.
  func abandon() {
    enter(.abandoned)
  }

  private func enter(_ phase: OpenChannels.Phase) {
    let entries = open.withLock { open in
      open.phase = phase
      return open.entries
    }
    for entry in entries.values { Self.tell(entry.channel, phase) }
  }

  private static func tell(_ channel: any Channel, _ phase: OpenChannels.Phase) {
    switch phase {
    case .serving: break
    case .stopping(let time):
      channel.pipeline.fireUserInboundEventTriggered(HTTPMessageHandler.Stop(lastRequests: TimeAmount(time)))
    case .abandoned: channel.abandon()
    }
  }
}

// MARK: - Clients that are gone

extension HTTPService {
  /// Ends connections whose clients have owed an acknowledgement for too long (like those of event streams), while a request is
  /// being answered, or its answer is on the way. A connection without data on the way is checked by `KeepAliveProbes`; a
  /// client that merely does not read still acknowledges. On the event loop.
  private func checkPeers() {
    let now = MonotonicTime.now
    let gone = open.withLock { open in
      if open.unchecked.isEmpty { open.unchecked = Array(open.entries.keys) }
      let count = (open.entries.count + Self.looksPerRound - 1) / Self.looksPerRound
      let part = open.unchecked.suffix(count)
      open.unchecked.removeLast(part.count)
      return part.compactMap { id in
        open.entries[id]?.channelOfLostPeer(at: now, bound: gateway.clientSilence)
      }
    }
    for channel in gone { channel.abandon() }
  }
}

// MARK: - One connection

extension HTTPService {
  /// A connection while it is served here.
  private final class ServedConnection: Sendable {
    let client: Client
    let isRelayed: Bool
    /// Once a worker has the connection, and counts it: completed when the worker waits for its end by itself, or it has ended.
    let left = Mutex<EventLoopFuture<Void>?>(nil)

    init(_ connection: HandedOverConnection) {
      (client, isRelayed) = (connection.client, connection.isRelayed)
    }
  }

  private func serveHTTP(on connection: HandedOverConnection) async {
    defer { ended(connection) }
    let served = ServedConnection(connection)
    let http = HTTP1Channel(
      responder: { [self] request, writer, channel in
        let upload = Upload(request, on: channel)
        // It is cancelled and awaited at the end of this scope, on every path.
        async let _ = upload?.pump()
        let (client, refusal) = gateway.process.client(of: request, behind: served.client)
        let response =
          if let refusal { refusal } else {
            try await respond(to: request, upload, from: client, on: channel)
          }
        try await writer.write(response: response.head, body: response.body)
        // The client's place is kept until here.
        withExtendedLifetime(client.place) {}
      },
      configuration: .init(
        idleTimeout: TimeAmount(gateway.process.server.keepAlive),
        httpDecoderConfiguration: .init(
          maxHeaderFieldSize: Self.longestHead, maxHeaderListSize: Self.longestHead)))
    do {
      let value = try await takeOver(connection, served, http)
      await serve(on: value.channel) { [log = gateway.process.log] in
        await http.handle(value: value, logger: log)
      }
    } catch {
      gateway.process.log.debug("an HTTP connection could not be taken over", metadata: ["error": "\(error)"])
    }
    guard let left = served.left.withLock(\.self) else { return gateway.process.counters.connections.down() }
    // The future never fails.
    try? await left.get()
  }

  private func takeOver(
    _ connection: HandedOverConnection, _ served: ServedConnection, _ http: HTTP1Channel
  ) async throws -> HTTP1Channel.Value {
    // Every connection may keep small early requests.
    let share = MemoryShare(of: gateway.httpMemory.ahead, free: Self.freeAhead)
    return try await ClientBootstrap(group: gateway.process.loops)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .channelOption(.maxMessagesPerRead, value: 1)
      .channelOption(.recvAllocator, value: Self.reads)
      .withConnectedSocket(connection.descriptor) { [log = gateway.process.log, refusals] channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandlers(
            LingeringCloseHandler(), FirstBytes(connection.bytes), RequestGate(share: share))
        }.flatMap {
          http.setup(channel: channel, logger: log)
        }.flatMapThrowing { value in
          let pipeline = channel.pipeline.syncOperations
          let gate = try pipeline.handler(type: RequestGate.self)
          let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
          let rules = HTTPMessageHandler(
            gate: gate,
            refused: { refusals.record($0, target: nil, peer: connection.client.peer) },
            isForWorker: { [self] in isForWorker($0) },
            leaves: { [self] in sendBack(channel, $0, of: served) })
          try pipeline.addHandler(rules, position: .after(decoder))
          return value
        }
      }
  }

  /// Answers requests until the channel is closed by either side. Work for it is cancelled then.
  private func serve(on channel: any Channel, _ handle: @escaping @Sendable () async -> Void) async {
    let phase = open.withLock { open in
      open.entries[ObjectIdentifier(channel)] = .init(channel: channel)
      return open.phase
    }
    Self.tell(channel, phase)
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { await handle() }
      // The future never fails.
      try? await channel.closeFuture.get()
      tasks.cancelAll()
    }
    _ = open.withLock { $0.entries.removeValue(forKey: ObjectIdentifier(channel)) }
  }

  private func discard(_ connection: HandedOverConnection) {
    _ = Descriptor(adopting: connection.descriptor)
    gateway.process.counters.connections.down()
  }

  /// - Throws: where there is nobody or nothing to answer.
  private func respond(
    to request: Request, _ upload: Upload?, from client: Client, on channel: any Channel
  ) async throws -> Response {
    let served = gateway.served
    let target = Array((request.head.path ?? "/").utf8)
    let asked = HTTPResponder.Asked(served: served, target: target, client: client)
    // What is served may have been exchanged since the head was read.
    guard let place = served.routes.httpPlace(of: target) else {
      return Response(responder.refuse(asked, .noRoute))
    }
    do {
      let answer = try await answer(to: request, upload, at: place, asked, channel: channel)
      return answer ?? Response(responder.nothing(at: place.path, asked))
    } catch let refusal as Refusal {
      return Response(responder.refuse(asked, refusal))
    }
  }

  /// - Returns: nil where a static route leaves the request to what else matches the path.
  private func answer(
    to request: Request, _ upload: Upload?, at place: HTTPPlace, _ asked: HTTPResponder.Asked,
    channel: any Channel
  ) async throws -> Response? {
    let (application, path, match) = (asked.served.application, place.path, place.match)
    switch asked.served.handlers[match.route] {
    case .files(let files):
      let file = match.remainder ?? ""
      if let answer = try await files.respond(to: request, file: file) { return answer }
      let isWebSocket = application.webSocketRouter.match(path) != nil
      return try await files.fallBack(on: request, file: file, besideWebSocket: isWebSocket)
    case .proxy(let proxy):
      let isProtectedElsewhere = path.isReadElsewhere(by: application.httpRouter, than: match) {
        application.httpRoutes[$0].auth != nil
      }
      guard !isProtectedElsewhere else { throw Refusal.mergedSlashes }
      return try await proxy.respond(to: request, upload, path: path, match, from: asked.client, on: channel)
    case .respond, .redirect, .publish, .health, .events: return nil
    }
  }

  // MARK: - Requests for the workers

  private func isForWorker(_ head: HTTPRequestHead) -> Bool {
    guard !head.fields.wantWebSocket else { return true }
    let served = gateway.served
    let target = Array(head.uri.utf8)
    let place = served.routes.httpPlace(of: target)
    let handler = served.handler(method: head.method.rawValue, target: target, at: place)
    return handler?.isOfService != true
  }

  /// Gives a duplicate of the socket to a worker. Closing the channel then closes only this service's descriptor. On the event loop.
  ///
  /// - Parameter bytes: what was read and not handled; nothing more is read here.
  private func sendBack(_ channel: any Channel, _ bytes: [UInt8], of served: ServedConnection) {
    guard let descriptor = try? channel.duplicateSocket() else { return channel.close(promise: nil) }
    // Before the worker gets the socket, because Hummingbird's end would shut the socket down, and not only close this
    // descriptor. Earlier answers have been sent by then; if that fails, the connection ends here.
    channel.close().whenComplete { [self] outcome in
      guard case .success = outcome else { return _ = Descriptor(adopting: descriptor) }
      let stay = HandedOverConnection.Stay(on: channel.eventLoop)
      served.left.withLock { $0 = stay.isOver }
      let worker = returns.withLock { returns in
        defer { returns.next = (returns.next + 1) % returns.workers.count }
        return returns.workers[returns.next]
      }
      let handedOver = HandedOverConnection(
        descriptor: descriptor, bytes: bytes, client: served.client, isRelayed: served.isRelayed, stay: stay)
      if !worker.post(.takeOver(handedOver)) { discard(handedOver) }
    }
  }
}
