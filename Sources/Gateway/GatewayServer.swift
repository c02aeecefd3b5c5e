import ChannelLayers
package import GatewayConfig
import Glibc
package import Logging
import NIOCore
import NIOPosix
import Sessions
import Synchronization
import Transport
import WebSocketCore

/// The running gateway: its reactors, its HTTP service, and how they start and stop together.
///
/// `run` listens, serves until `stop`, and returns when the last connection is closed.
package final class GatewayServer: Sendable {
  /// Why a gateway could not start; one sentence for the operator.
  package struct StartFailure: Error, CustomStringConvertible {
    package var description: String
    /// Whether it is an address that another process has.
    package var isAddressInUse = false
  }

  enum LifecycleEvent: Sendable {
    case stop
    case stopNow
    case workerFinished
    /// HTTP, or TLS.
    case serviceFinished
    /// Something that no stop may begin during; told whether one has.
    case exclusively(@Sendable (_ isStopping: Bool) async -> Void)
  }

  let current: ServedFile
  /// Nil for a gateway that was made of a configuration alone.
  let source: GatewaySource?
  let level: LogLevel?
  let gateway: GatewayState
  let loops: MultiThreadedEventLoopGroup
  let log: Logger
  let descriptors: DescriptorLimit
  private let lifecycleEvents: AsyncStream<LifecycleEvent>
  let lifecycle: AsyncStream<LifecycleEvent>.Continuation
  private let deadline: StopDeadline
  /// When the grace of a stop is over; nil before one.
  let graceEnd = GraceEnd()
  private let progress = StopProgress()
  /// The parts that a stop ends; nil while nothing is served.
  let running = PartsBox()
  /// What the process before has handed over; nil for a start.
  let handed: HandedRecord?
  /// How often this process has executed a program that went on with its connections.
  package let upgrades: UInt64
  /// Whether it goes on with the sessions of a process before, which there is no way back to.
  var isTakingOver: Bool { handed != nil }
  /// How an upgrade is done; nil where none is.
  let upgradeOrder = Mutex<UpgradeOrder?>(nil)
  /// Why the last upgrade was refused; nil where none was.
  let upgradeRefusal = Mutex<UpgradeRefusal?>(nil)
  /// Where commands reach it, as far as the file does not say it; nil where none are answered.
  let adminPlace: AdminPlace?
  /// What has started the gateway as a service; nil where nobody wants to hear of it.
  let service: ServiceReport?
  let operations = OperationGate()
  /// Of the publish API, and of other processes.
  let orders: OrderKeeper
  /// Nil while no commands are answered.
  let commands = Mutex<AdminService?>(nil)
  let life = GatewayLife()
  /// For the identifications of plans.
  let secrets = SecretSeal()

  final class PartsBox: Sendable {
    let parts = Mutex<RunningParts?>(nil)
  }

  final class GraceEnd: Sendable {
    private let end = Mutex<MonotonicTime?>(nil)
    private let (changes, change) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

    /// Nil before a stop.
    var time: MonotonicTime? { end.withLock { $0 } }

    /// Whether a stop was asked for.
    var isSet: Bool { end.withLock { $0 != nil } }

    /// A later call makes the grace shorter, never longer.
    func limit(to time: MonotonicTime) {
      end.withLock { $0 = min($0 ?? time, time) }
      change.yield()
    }

    /// Runs the body, and cancels it when the grace is over, also where a second signal ends it early. It has a moment at least.
    func limit(_ body: @escaping @Sendable () async -> Void) async {
      let least = MonotonicTime.now + .seconds(1)
      await withTaskGroup { tasks in
        tasks.addTask { await body() }
        tasks.addTask { [self] in await wait(atLeastUntil: least) }
        await tasks.next()
        tasks.cancelAll()
      }
    }

    private func wait(atLeastUntil least: MonotonicTime) async {
      while !Task.isCancelled {
        let end = max(end.withLock { $0 } ?? least, least)
        let change: Void? = await within(end.since(.now)) { [changes] in for await _ in changes { return } }
        if change == nil { return }
      }
    }
  }

  struct RunningParts: Sendable {
    typealias Worker = (thread: ReactorThread, mailbox: Mailbox<WorkerMessage>)

    var workers: [Worker]
    var http: HTTPService
    var tls: TLSService

    func abandon() {
      for worker in workers { worker.mailbox.post(.abandon) }
      http.abandon()
      tls.abandon()
    }

    /// Ends the threads, once nothing is served any more.
    func shutDown() async throws {
      for worker in workers { worker.thread.stop() }
      for worker in workers { worker.thread.join() }
      try await tls.shutDown()
    }
  }

  /// - Parameters:
  ///   - source: for reloads; nil if there are none.
  ///   - level: of the log, which a reload may change; nil if it may not.
  ///   - admin: where commands reach the gateway; nil where it answers none.
  ///   - stopBound: how long a stop may go on after `shutdown.grace`; nil for the usual bound.
  ///   - clientSilence: how long an HTTP client may owe the system an answer; nil for the usual bound.
  ///   - handed: of the process that this one takes the place of.
  ///   - overdue: called on a thread of its own when a stop has gone on for longer than it may; it should end the process.
  package init(
    _ configuration: Configuration, from source: GatewaySource? = nil, log: Logger, level: LogLevel? = nil,
    admin: AdminPlace? = nil,
    stopBound: Duration? = nil, clientSilence: Duration? = nil, takingOver handed: HandedRecord? = nil,
    overdue: @escaping @Sendable () -> Void = {}
  ) {
    let stopBound = stopBound ?? StopDeadline.bound
    let record = handed?.record
    current = ServedFile(configuration, after: record)
    self.source = source
    self.level = level
    self.log = log
    adminPlace = admin
    service = source.flatMap { ServiceReport($0.environment, process: getpid()) }
    self.handed = handed
    upgrades = record?.upgrades ?? 0
    descriptors = DescriptorLimit.raise()
    let threads = configuration.server.threads ?? System.coreCount
    let shares = descriptors.shares(for: configuration, threads: threads)
    // Files, small answers and proxied requests: one event loop is enough, and the reactors get the processors.
    loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    gateway = GatewayState(
      configuration, threads: threads,
      connectionLimit: min(configuration.server.connections ?? shares.connections, shares.connections),
      extraConnections: shares.extras, room: DescriptorRoom(shares),
      clientSilence: clientSilence ?? KeepAliveProbes.bound, loops: loops, resuming: record, log: log)
    orders = OrderKeeper(gateway)
    let (lifecycleEvents, lifecycle) = AsyncStream.makeStream(of: LifecycleEvent.self)
    (self.lifecycleEvents, self.lifecycle) = (lifecycleEvents, lifecycle)
    deadline = StopDeadline(bound: stopBound) { [progress] in
      progress.begin()
      lifecycle.yield(.stop)
    } abandon: { [running, life, counters = gateway.process.counters] in
      life.cut(counters.sessions.count)
      lifecycle.yield(.stopNow)
      // The task that handles these events may get no thread.
      running.parts.withLock { $0 }?.abandon()
    } overdue: { bound in
      log.error(
        "the shutdown did not finish in time",
        metadata: ["bound": "\(bound.written)", "hint": "the process ends now"])
      overdue()
    }
  }

  /// Asks the gateway to stop as `shutdown:` says. Can be called from any thread, more than once.
  ///
  /// - Parameter grace: instead of that of `shutdown`. Counts where no stop was asked for before.
  package func stop(within grace: Duration? = nil) {
    guard progress.announce() else { return }
    life.stop(within: grace)
    let shutdown = shutdown
    gateway.process.setReady(false)
    guard shutdown.delay > .zero else { return begin() }
    limitStop(to: shutdown.grace, after: shutdown.delay)
    log.notice(
      "stopping soon",
      metadata: [
        "delay": "\(shutdown.delay.written)", "sessions": .number(gateway.process.counters.sessions.count),
        "hint": "the gateway goes on serving, and is not ready; a second signal ends the delay",
      ])
  }

  /// Asks the gateway a second time to stop: what was to begin after a delay begins, and what has begun ends at once. Can be called from
  /// any thread.
  package func hurry() {
    if progress.hasBegun { stopNow() } else { begin() }
  }

  private func begin() {
    progress.begin()
    gateway.process.setReady(false)
    limitStop(to: shutdown.grace)
    lifecycle.yield(.stop)
  }

  /// How it stops: with the grace that a drain was asked for with, if one was.
  var shutdown: ShutdownConfiguration {
    var shutdown = configuration.shutdown
    shutdown.grace = life.grace ?? shutdown.grace
    return shutdown
  }

  /// Asks the gateway to close everything at once.
  package func stopNow() {
    progress.begin()
    life.cut(gateway.process.counters.sessions.count)
    limitStop(to: .zero)
    lifecycle.yield(.stopNow)
  }

  private func limitStop(to grace: Duration, after delay: Duration = .zero) {
    graceEnd.limit(to: .now + delay + grace)
    do {
      try deadline.begin(grace, after: delay)
    } catch {
      log.error(
        "the shutdown has no deadline: its timer could not be started", metadata: ["error": "\(error)"])
    }
  }

  /// Nil while nothing is served.
  var runningParts: RunningParts? { running.parts.withLock(\.self) }

  /// Whether a stop was asked for.
  var isStopping: Bool { graceEnd.isSet }

  /// Connects to the channel layers that routes use, before `run`.
  ///
  /// - Returns: a sentence for each layer that cannot be reached. The gateway can run all the same, and keeps trying.
  package func unreachableLayers() async -> [String] {
    await gateway.layers.firstConnection()
  }

  /// Serves until stopped.
  ///
  /// - Parameter listening: called with the addresses, including the real ports, once connections are accepted.
  /// - Throws: `StartFailure`, before anything is served.
  package func run(listening: @Sendable ([BoundAddress]) -> Void = { _ in }) async throws {
    warnOfDescriptors()
    warnOfMemory()
    try deadline.prepare()
    defer { deadline.end() }
    let inherited = try handed?.record?.listeners ?? activatedListeners()
    let sockets = try ListeningSockets.open(
      configuration.server.listeners, for: gateway.process.threads,
      isSharing: configuration.server.reusesPort, inheriting: inherited,
      trouble: isTakingOver ? { [self] in tellTrouble($0, isOpen: $1) } : nil)
    let admin = try openAdmin(beside: sockets)
    defer { admin?.remove() }
    let parts = try startParts()
    let taken = await takeOver(on: parts)
    running.parts.withLock { $0 = parts }
    defer { running.parts.withLock { $0 = nil } }
    // What is served may have been exchanged while they started.
    for worker in parts.workers { worker.mailbox.post(.perform { $0.serveAnew() }) }
    gateway.layers.run()
    await gateway.layers.settle(within: Self.layerPatience)
    if let taken { await goOn(with: taken, on: parts) }
    let shared = await startShared()
    for (index, worker) in parts.workers.enumerated() {
      worker.mailbox.post(.start(listeners: sockets.listeners[index], left: sockets.left[index]))
    }
    current.sockets.withLock { $0 = sockets }
    let memory = try gateway.memoryReturn.start()
    let commands = try await startAdmin(on: admin)
    gateway.process.setReady(!progress.isAnnounced)
    life.begin()
    listening(sockets.addresses)
    tellStarted()
    let service = try startServiceWatch(parts)
    for file in sockets.privateFiles { tellPrivate(file) }
    await serveAll(parts)
    // The reactors still run, and no session is left whose end could follow.
    await graceEnd.limit { [views = gateway.process.views] in await views.finish() }
    life.end()
    await endOperations()
    await commands?.finish()
    // From here on it is too late to serve another application.
    running.parts.withLock { $0 = nil }
    await end(shared)
    memory.stop()
    service?.stop()
    try await shutDown(parts)
    memory.join()
    service?.join()
    deadline.end()
    log.notice("stopped", metadata: gateway.summary)
  }

  /// Lets what is being done come to its end, which a stop brings about: what became of it is in the log then, and whoever asked for it is
  /// told.
  private func endOperations() async {
    _ = await within(Self.operationPatience) { [operations] in await operations.wait() }
  }

  /// It may wait for a disk, or for a channel layer.
  private static let operationPatience = layerPatience + .seconds(1)

  /// What runs beside the reactors, for all of them.
  private struct SharedTasks {
    /// Keeps the orders of the publish API.
    var keeping: Task<Void, Never>
  }

  private func startShared() async -> SharedTasks {
    // Before a client comes in that an order keeps out.
    await orders.load()
    return SharedTasks(keeping: Task { [orders] in await orders.run() })
  }

  private func end(_ shared: SharedTasks) async {
    shared.keeping.cancel()
    await shared.keeping.value
    await gateway.layers.stop(within: Self.layerPatience)
  }

  /// Returns when everything that was served has ended.
  private func serveAll(_ parts: RunningParts) async {
    await withTaskGroup { tasks in
      tasks.addTask { [lifecycle] in
        await parts.http.run()
        lifecycle.yield(.serviceFinished)
      }
      await serve(parts)
    }
  }

  /// Ends the threads, those that serve first.
  private func shutDown(_ parts: RunningParts) async throws {
    try await parts.shutDown()
    try await gateway.served.shutDown()
    try await gateway.layers.shutDown()
    try await loops.shutdownGracefully()
  }

  private func startParts() throws -> RunningParts {
    let count = gateway.process.threads
    let http = HTTPService(gateway: gateway)
    let tls = TLSService()
    if configuration.served.hasSecureUpstreams { tls.allowUpstreams(threads: count) }
    tls.use(try configuration.server.tls?.makeContext())
    let workers = try (0..<count).map { try startWorker($0, http: http, tls: tls) }
    http.connect(to: workers.map(\.mailbox))
    gateway.layers.connect(to: workers.map(\.mailbox))
    gateway.process.views.connect(
      to: workers.map { worker in { work in worker.mailbox.post(.perform(work)) } })
    return RunningParts(workers: workers, http: http, tls: tls)
  }

  private func tellStarted() {
    let application = gateway.served.application
    log.notice(
      "started",
      metadata: [
        "application": "\(application.name)", "threads": "\(gateway.process.threads)",
        "websocket-routes": "\(application.webSocketRoutes.count)",
        "http-routes": "\(application.httpRoutes.count)", "connections": "\(gateway.connectionLimit)",
      ])
  }

  private func tellTrouble(_ failure: StartFailure, isOpen: Bool) {
    let hint =
      isOpen
      ? "whoever could connect to it still can" : "the gateway goes on without this address; reload the file"
    log.error("\(failure)", metadata: ["hint": "\(hint)"])
  }

  /// Logs that only this user can connect to a socket file, in case a proxy runs as another user.
  private func tellPrivate(_ file: SocketFile) {
    log.notice(
      "only processes of this user can connect to the Unix socket",
      metadata: [
        "socket": "\(file.path)", "mode": "0\(String(file.mode ?? 0, radix: 8))",
        "hint":
          "to let a proxy of another user in, write bind: {address: \"unix:\(file.path)\", mode: \"0660\", group: GROUP}",
      ])
  }

  /// Without enough descriptors, connections over the limit would be reset instead of refused.
  private func warnOfDescriptors() {
    let configuration = configuration
    guard let wanted = configuration.server.connections else { return warnOfFewConnections() }
    guard wanted > gateway.connectionLimit else { return }
    let needed = descriptors.needed(for: wanted, of: configuration, threads: gateway.process.threads)
    log.warning(
      "limits.connections was lowered to what the limit on open files has room for",
      metadata: [
        "connections": "\(gateway.connectionLimit)", "wanted": "\(wanted)",
        "open-files": "\(descriptors.descriptors)",
        "hint":
          "raise the limit on open files (ulimit -n, LimitNOFILE) to \(needed), or lower limits.connections",
      ])
  }

  private func warnOfFewConnections() {
    guard gateway.connectionLimit < DescriptorLimit.fewConnections else { return }
    let usual = DescriptorLimit.usualConnections
    let needed = descriptors.needed(for: usual, of: configuration, threads: gateway.process.threads)
    log.warning(
      "the limit on open files leaves room for few connections",
      metadata: [
        "connections": "\(gateway.connectionLimit)", "open-files": "\(descriptors.descriptors)",
        "hint":
          "raise the limit on open files (ulimit -n, LimitNOFILE) to \(needed) for \(usual) connections, or write limits: {connections: \(gateway.connectionLimit)} where so few are meant",
      ])
  }

  /// Bounds that are not written follow from the memory of the process, which `validate` does not know.
  private func warnOfMemory() {
    let configuration = configuration
    let limits = configuration.served.webSocketRoutes.map(\.limits)
    let receiving = gateway.process.receiveMemory.budget.total
    if configuration.server.receiveMemory == nil, let message = limits.map(\.message).max(),
      message.bytes > receiving / 2
    {
      warn(
        "messages of limits.message may never arrive: the memory for unfinished messages is too small",
        wanted: message, bytes: receiving, hint: "lower limits.message, or raise limits.receive_memory")
    }
    let sending = gateway.process.sendMemory.budget.total
    if configuration.server.sendMemory == nil, let queue = limits.map(\.sendQueue).max(),
      queue.bytes > sending
    {
      warn(
        "one client may have more waiting than all clients together: the memory for what waits to be sent is too small",
        wanted: queue, bytes: sending, hint: "lower limits.send_queue, or raise limits.send_memory")
    }
  }

  private func warn(_ event: Logger.Message, wanted: ByteCount, bytes: Int, hint: String) {
    log.warning(event, metadata: ["wanted": "\(wanted.bytes)", "bytes": "\(bytes)", "hint": "\(hint)"])
  }

  /// How long a stop waits for channel layers.
  static let layerPatience = Duration.seconds(2)

  private func startWorker(_ index: Int, http: HTTPService, tls: TLSService) throws -> RunningParts.Worker {
    let (thread, mailbox) = try Reactor.start(name: "reactor-\(index)") { [gateway] reactor in
      reactor.boundSending(
        by: MemoryAllowance(of: gateway.process.sendMemory.budget, among: gateway.process.threads))
      reactor.boundMail(to: gateway.mail.bytes)
      if tls.context != nil { try reactor.startHandshakeThread(name: "handshakes-\(index)") }
      let worker = Worker(reactor: reactor, number: index, gateway: gateway, http: http, tls: tls)
      // The mailbox keeps the worker alive while its reactor runs.
      let mailbox = reactor.mailbox { worker.handle($0) }
      worker.mailbox = mailbox
      return mailbox
    }
    return (thread, mailbox)
  }
}

// MARK: - Stopping

extension GatewayServer {
  /// Serves until a stop is asked for and complete.
  private func serve(_ parts: RunningParts) async {
    var workers = parts.workers.count
    var services = 2
    var isStopping = false
    for await event in lifecycleEvents {
      switch event {
      case .stop, .stopNow:
        if !isStopping {
          current.sockets.withLock { sockets in
            sockets?.remove()
            sockets = nil
          }
          beginStop(parts)
        }
        isStopping = true
        if case .stopNow = event { parts.abandon() }
      case .workerFinished:
        workers -= 1
        guard workers == 0 else { break }
        // No worker is left to hand over a connection, or to begin one with TLS.
        parts.http.endArrivals()
        parts.tls.stop { [lifecycle] in lifecycle.yield(.serviceFinished) }
      case .serviceFinished: services -= 1
      case .exclusively(let work): await work(isStopping)
      }
      // Who waits to do something alone still hears of the stop.
      if workers == 0, services == 0 { lifecycle.finish() }
    }
  }

  /// When the grace is over, `deadline` ends what is left.
  private func beginStop(_ parts: RunningParts) {
    let shutdown = shutdown
    gateway.process.setReady(false)
    let sessions = gateway.process.counters.sessions.count
    let others = gateway.process.counters.connections.count > sessions
    let plan = ClosePlan(
      closing: sessions, within: shutdown.grace, next: configuration.nextListener,
      others: others ? LastRequests.end(within: shutdown.grace) : .zero,
      handshakes: configuration.server.handshakes)
    service?.tell(.stopping(status: "closing \(sessions) session\(sessions == 1 ? "" : "s")"))
    log.notice(
      "stopping",
      metadata: [
        "sessions": .number(sessions), "grace": "\(shutdown.grace.written)",
        "closes-ms": .number(Int(plan.closes / .milliseconds(1))),
        "back-ms": .number(Int(plan.back / .milliseconds(1))),
        "arrivals-ms": .number(Int(plan.arrivals / .milliseconds(1))),
      ])
    // Before the workers: whoever sees a session of theirs close finds it told, too.
    parts.http.stop(within: shutdown.grace)
    for worker in parts.workers {
      let order = StopOrder(
        grace: shutdown.grace, code: CloseCode(rawValue: shutdown.code), plan: plan,
        isReplaced: configuration.nextListener == .now
      ) { [lifecycle] in
        lifecycle.yield(.workerFinished)
      }
      worker.mailbox.post(.stop(order))
    }
  }
}
