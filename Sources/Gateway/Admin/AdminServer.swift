import GatewayConfig
import JSON
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Sessions
import Synchronization
import Transport

/// The HTTP server that commands speak with: on an event loop and never on a reactor, so that it answers while these are busy.
///
/// Few connections, each with one request, which has to arrive soon; those that say nothing give way to new ones. What reads only is
/// cancelled when its client is gone.
final class AdminServer: Sendable {
  typealias Respond = @Sendable (AdminRequest, Asker) async -> AdminAnswer

  private struct Asked: Sendable {
    var request: AdminRequest
    var asker: Asker
    /// Of the connection.
    var number: Int
  }

  private struct Open {
    var places = AdminPlaces()
    /// The connections, by their numbers.
    var channels: [Int: any Channel] = [:]
    var lastNumber = 0
    /// What is being carried out, by the numbers of the connections.
    var tasks: [Int: Task<AdminAnswer, Never>] = [:]
    var listeners: [(descriptor: Int32, channel: any Channel)] = []
    var isClosed = false
    /// Whether nothing is accepted for now.
    var isPaused = false

    /// The connection is closed.
    mutating func leave(_ number: Int) {
      channels[number] = nil
      if places.leave(number) { tasks[number]?.cancel() }
    }
  }

  private let loop: any EventLoop
  private let log: Logger
  private let open = Mutex(Open())
  private let requests: AsyncStream<Asked>
  private let request: AsyncStream<Asked>.Continuation
  private let access: AdminAccess

  /// How long a client may take to read its answer.
  private static let patience = TimeAmount.seconds(10)
  /// How long it has to close its side, so that what it has sent too much does not destroy the answer.
  private static let lingering = TimeAmount.seconds(2)

  init(_ access: AdminAccess, on loop: any EventLoop, log: Logger) {
    self.access = access
    self.loop = loop
    self.log = log
    (requests, request) = AsyncStream.makeStream()
  }

  /// Accepts connections of one more socket, until `finish`.
  ///
  /// - Parameter descriptor: a listening socket. The server becomes its owner.
  func listen(on descriptor: Int32) async throws {
    let bootstrap = ServerBootstrap(group: loop)
      // Until it is known whether anything is accepted.
      .serverChannelOption(.autoRead, value: false)
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(AcceptBackoffHandler())
        }
      }
      .childChannelInitializer { [self] channel in
        channel.eventLoop.makeCompletedFuture { try accept(channel) }
      }
    let listener = try await bootstrap.withBoundSocket(descriptor).get()
    let isClosed = open.withLock { open in
      open.listeners.append((descriptor, listener))
      return open.isClosed
    }
    if isClosed { listener.close(promise: nil) } else { await acceptOrNot() }
  }

  /// Accepts nothing more until `goOn`. Who has connected before has an answer afterwards, or its connection has ended: what takes longer is
  /// given up, and who has asked for nothing is not waited for any more.
  func pause(within time: Duration) async {
    open.withLock { $0.isPaused = true }
    await acceptOrNot()
    // What was accepted is among the connections after a turn of the loop.
    for _ in 0..<2 { try? await loop.submit {}.get() }
    await Self.until(time) { self.open.withLock(\.places.isQuiet) }
    for (number, phase) in open.withLock(\.places.phases) {
      switch phase {
      case .reading: open.withLock { $0.channels[number] }?.close(promise: nil)
      case .asking:
        write(.refused(503, "not-serving", "the gateway executes another program now; ask again"), to: number)
      case .writing, .answered: continue
      }
    }
    await Self.until(time) { self.open.withLock(\.places.isQuiet) }
  }

  func goOn() async {
    open.withLock { $0.isPaused = false }
    await acceptOrNot()
  }

  private func acceptOrNot() async {
    try? await loop.submit { [self] in
      let (listeners, isPaused) = open.withLock { ($0.listeners.map(\.channel), $0.isPaused) }
      // One that is closed accepts nothing.
      for listener in listeners { try? listener.syncOptions?.setOption(.autoRead, value: !isPaused) }
    }.get()
  }

  /// Closes a listening socket. The connections that it has accepted go on.
  func stopListening(on descriptor: Int32) {
    let listener = open.withLock { open in
      open.listeners.firstIndex { $0.descriptor == descriptor }.map { open.listeners.remove(at: $0).channel }
    }
    listener?.close(promise: nil)
  }

  /// Answers requests, until `finish`. Those that are under way then are answered, or cancelled with the task.
  func run(_ respond: @escaping Respond) async {
    await withDiscardingTaskGroup { tasks in
      for await asked in requests {
        tasks.addTask { [self] in await carryOut(asked, respond) }
      }
    }
  }

  /// Accepts nothing more, lets the answers that are ready be read for some time, and closes all connections.
  func finish(within time: Duration) async {
    close(withAnswers: false)
    // What is carried out has been told that it is over, and answers now.
    await Self.until(time) { self.open.withLock { $0.places.isEmpty } }
    close(withAnswers: true)
  }

  private static func until(_ time: Duration, _ isOver: @Sendable () -> Bool) async {
    let end = MonotonicTime.now + time
    while !isOver(), MonotonicTime.now < end { try? await Task.sleep(for: .milliseconds(5)) }
  }

  private func close(withAnswers: Bool) {
    let (listeners, closing) = open.withLock { open in
      open.isClosed = true
      let closing = open.places.phases.filter { withAnswers || $0.phase == .reading }
        .compactMap { open.channels[$0.number] }
      defer { open.listeners = [] }
      return (open.listeners, closing)
    }
    request.finish()
    for listener in listeners { listener.channel.close(promise: nil) }
    for channel in closing { channel.close(promise: nil) }
  }
}

// MARK: - Connections

extension AdminServer {
  /// On the event loop.
  private func accept(_ channel: any Channel) throws {
    let asker = channel.peerCredentials.map(Asker.process) ?? .token
    guard let number = admit(channel, asker == .token ? .loopback : .socket) else {
      return channel.close(promise: nil)
    }
    channel.closeFuture.whenComplete { [self] _ in open.withLock { $0.leave(number) } }
    let connection = AdminConnection { [self] outcome in
      switch outcome {
      case .request(let request): take(request, of: asker, from: number)
      case .tooLarge: write(.refused(413, "too-large", "the body is too large"), to: number)
      }
    }
    let pipeline = channel.pipeline.syncOperations
    try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false, withErrorHandling: true)
    try pipeline.addHandler(connection)
  }

  /// Makes room for a connection where all places are taken.
  ///
  /// - Returns: its number; nil where it has to end itself.
  private func admit(_ channel: any Channel, _ entrance: AdminPlaces.Entrance) -> Int? {
    let (number, leaving): (Int?, (any Channel)?) = open.withLock { open in
      guard !open.isClosed else { return (nil, nil) }
      open.lastNumber += 1
      let number = open.lastNumber
      let leaving = open.places.come(number, by: entrance)
      guard leaving != number else { return (nil, nil) }
      open.channels[number] = channel
      return (number, leaving.flatMap { open.channels.removeValue(forKey: $0) })
    }
    leaving?.close(promise: nil)
    return number
  }

  private func take(_ request: AdminRequest, of asker: Asker, from number: Int) {
    // First, so that those who may not ask take nobody's place.
    if let refusal = access.refusal(of: request, from: asker) {
      access.tell(refusal, to: asker, log)
      return write(refusal, to: number)
    }
    let kind = AdminDesk.kind(of: request)
    guard open.withLock({ $0.places.begin(kind, for: number) }) else {
      return write(.refused(503, "too-many", kind.refusal), to: number)
    }
    self.request.yield(Asked(request: request, asker: asker, number: number))
  }

  private func carryOut(_ asked: Asked, _ respond: @escaping Respond) async {
    let number = asked.number
    let task: Task<AdminAnswer, Never>? = open.withLock { open in
      guard open.places.isWanted(number) else { return nil }
      let task = Task { await respond(asked.request, asked.asker) }
      open.tasks[number] = task
      return task
    }
    if let task {
      let answer = await withTaskCancellationHandler {
        await task.value
      } onCancel: {
        task.cancel()
      }
      access.tell(answer, to: asked.asker, log)
      write(answer, to: number)
    }
    open.withLock { open in
      open.tasks[number] = nil
      open.places.end(number)
    }
  }

  /// Writes an answer, and closes the connection when the client has it.
  private func write(_ answer: AdminAnswer, to number: Int) {
    // The client may be gone, or have another answer, or the server closed with its event loop.
    let owed = open.withLock { $0.places.answers(number) ? $0.channels[number] : nil }
    guard let channel = owed else { return }
    let body = answer.body.bytes + [UInt8(ascii: "\n")]
    var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: answer.status))
    head.headers = [
      "Content-Type": "application/json", "Content-Length": "\(body.count)", "Connection": "close",
    ]
    if let allowed = answer.allowed { head.headers.add(name: "Allow", value: allowed) }
    if answer.status == 401 { head.headers.add(name: "WWW-Authenticate", value: "Bearer") }
    let parts: [HTTPServerResponsePart] = [
      .head(head), .body(.byteBuffer(ByteBuffer(bytes: body))), .end(nil),
    ]
    loop.execute {
      for part in parts.dropLast() { channel.write(part, promise: nil) }
      let late = channel.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
      channel.writeAndFlush(parts[2]).whenComplete { [self] _ in
        late.cancel()
        open.withLock { $0.places.answered(number) }
        channel.close(mode: .output, promise: nil)
        let end = channel.eventLoop.scheduleTask(in: Self.lingering) { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in end.cancel() }
      }
    }
  }
}
