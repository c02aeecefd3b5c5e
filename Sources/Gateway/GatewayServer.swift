import ChannelLayers
package import GatewayConfig
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
  }

  private enum LifecycleEvent: Sendable {
    case stop
    case stopNow
    case workerFinished
    /// HTTP, or TLS.
    case serviceFinished
    case renew(ServerTLS)
  }

  private let configuration: Configuration
  let gateway: GatewayState
  private let loops: MultiThreadedEventLoopGroup
  private let log: Logger
  private let descriptors: DescriptorLimit
  private let lifecycleEvents: AsyncStream<LifecycleEvent>
  private let lifecycle: AsyncStream<LifecycleEvent>.Continuation
  private let deadline: StopDeadline
  /// When the grace of a stop is over; nil before one.
  private let graceEnd = GraceEnd()
  /// The parts that a stop ends; nil while nothing is served.
  private let running = PartsBox()

  private final class PartsBox: Sendable {
    let parts = Mutex<RunningParts?>(nil)
  }

  private final class GraceEnd: Sendable {
    private let end = Mutex<MonotonicTime?>(nil)
    private let (changes, change) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

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

  private struct RunningParts: Sendable {
    typealias Worker = (thread: ReactorThread, mailbox: Mailbox<WorkerMessage>)

    var workers: [Worker]
    var http: HTTPService
    var tls: TLSService?

    func abandon() {
      for worker in workers { worker.mailbox.post(.abandon) }
      http.abandon()
      tls?.abandon()
    }

    /// Ends the threads, once nothing is served any more.
    func shutDown() async throws {
      for worker in workers { worker.thread.stop() }
      for worker in workers { worker.thread.join() }
      try await tls?.shutDown()
    }
  }

  /// - Parameters:
  ///   - stopBound: how long a stop may go on after `shutdown.grace`; nil for the usual bound.
  ///   - clientSilence: how long an HTTP client may owe the system an answer; nil for the usual bound.
  ///   - overdue: called on a thread of its own when a stop has gone on for longer than it may; it should end the process.
  package init(
    _ configuration: Configuration, log: Logger, stopBound: Duration? = nil, clientSilence: Duration? = nil,
    overdue: @escaping @Sendable () -> Void = {}
  ) {
    let stopBound = stopBound ?? StopDeadline.bound
    self.configuration = configuration
    self.log = log
    descriptors = DescriptorLimit.raise()
    let threads = configuration.server.threads ?? System.coreCount
    let shares = descriptors.shares(for: configuration, threads: threads)
    // Files, small answers and proxied requests: one event loop is enough, and the reactors get the processors.
    loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    gateway = GatewayState(
      configuration, threads: threads,
      connectionLimit: min(configuration.server.connections ?? shares.connections, shares.connections),
      extraConnections: shares.extras, room: DescriptorRoom(shares),
      clientSilence: clientSilence ?? KeepAliveProbes.bound, loops: loops, log: log)
    let (lifecycleEvents, lifecycle) = AsyncStream.makeStream(of: LifecycleEvent.self)
    (self.lifecycleEvents, self.lifecycle) = (lifecycleEvents, lifecycle)
    deadline = StopDeadline(bound: stopBound) { [running] in
      lifecycle.yield(.stopNow)
      // The task that handles these events may get no thread.
      running.parts.withLock { $0 }?.abandon()
    } overdue: {
      log.error(
        "the shutdown did not finish in time",
        metadata: ["bound": "\(configuration.shutdown.grace + stopBound)", "hint": "the process ends now"])
      overdue()
    }
  }

  /// Asks the gateway to stop as `shutdown:` says. Can be called from any thread, more than once.
  package func stop() {
    limitStop(to: configuration.shutdown.grace)
    lifecycle.yield(.stop)
  }

  /// Asks the gateway to close everything at once.
  package func stopNow() {
    limitStop(to: .zero)
    lifecycle.yield(.stopNow)
  }

  private func limitStop(to grace: Duration) {
    graceEnd.limit(to: .now + grace)
    do {
      try deadline.begin(grace)
    } catch {
      log.error(
        "the shutdown has no deadline: its timer could not be started", metadata: ["error": "\(error)"])
    }
  }

  /// Reads the files of `server.tls` again. New connections use the new certificates; existing ones continue. If there is a
  /// mistake in the files, it is logged, and nothing changes. Can be called from any thread.
  ///
  /// - Parameter environment: the variables for `{env: NAME}`.
  package func reloadCertificates(environment: [String: String]) {
    guard let tls = configuration.server.tls else {
      return log.notice(
        "nothing was reloaded: the configuration has no server.tls", metadata: ["hint": Self.restartHint])
    }
    let (renewed, report) = ConfigurationLoader.reload(tls, environment: environment)
    for finding in report.findings {
      let place = finding.range.map { "\($0.file.path):\($0.start.line):\($0.start.column)" } ?? report.path
      log.log(
        level: finding.severity == .error ? .error : .warning, "\(finding.message)",
        metadata: ["place": "\(place)"])
    }
    if let renewed {
      lifecycle.yield(.renew(renewed))
    } else {
      log.error("the certificates were not reloaded; the previous ones stay in use")
    }
  }

  /// Serves the application of another configuration from now on, while the server, its listeners and its channel layers stay as they
  /// are. Living sessions go on by the routes of the same names, or end with 1012 where there is none that continues theirs.
  ///
  /// - Returns: once every worker serves it, and each of its sessions has had its turn, or a later exchange has taken over.
  /// - Throws: `CannotServe`, before anything is changed.
  package func serve(applicationOf configuration: Configuration) async throws {
    if let missing = self.configuration.missing(for: configuration) {
      throw CannotServe(description: missing)
    }
    guard let workers = running.parts.withLock({ $0?.workers }) else {
      throw CannotServe(description: "the gateway is not running")
    }
    gateway.serve(applicationOf: configuration)
    await withCheckedContinuation { done in
      let watcher = ExchangeWatcher(done)
      for worker in workers { worker.mailbox.post(.perform { $0.serveAnew(watcher: watcher) }) }
    }
  }

  /// Why the application of a configuration cannot be served while the gateway runs; one sentence for the operator.
  package struct CannotServe: Error, CustomStringConvertible {
    package var description: String
  }

  /// Every worker holds it until it has done its part of an exchange, or has ended.
  private final class ExchangeWatcher: Sendable {
    private let done: CheckedContinuation<Void, Never>

    init(_ done: CheckedContinuation<Void, Never>) {
      self.done = done
    }

    deinit {
      done.resume()
    }
  }

  private static let restartHint: Logger.MetadataValue =
    "SIGHUP reloads certificates only; routes and other settings need a restart"

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
    let sockets = try ListeningSockets.open(configuration.server.listeners, for: gateway.process.threads)
    let parts = try startParts()
    running.parts.withLock { $0 = parts }
    defer { running.parts.withLock { $0 = nil } }
    // What is served may have been exchanged while they started.
    for worker in parts.workers { worker.mailbox.post(.perform { $0.serveAnew() }) }
    let shared = await startShared()
    for (worker, listeners) in zip(parts.workers, sockets.listeners) {
      worker.mailbox.post(.start(listeners: listeners))
    }
    let memory = try gateway.memoryReturn.start()
    gateway.process.setReady(true)
    listening(sockets.addresses)
    tellStarted()
    for file in sockets.privateFiles { tellPrivate(file) }
    await serveAll(parts, on: sockets)
    // The reactors still run, and no session is left whose end could follow.
    await graceEnd.limit { [views = gateway.process.views] in await views.finish() }
    // From here on it is too late to serve another application.
    running.parts.withLock { $0 = nil }
    await end(shared)
    memory.stop()
    try await shutDown(parts)
    memory.join()
    deadline.end()
    log.notice("stopped", metadata: gateway.summary)
  }

  /// What runs beside the reactors, for all of them.
  private struct SharedTasks {
    var layers: Task<Void, Never>
    /// Keeps the orders of the publish API.
    var keeping: Task<Void, Never>
  }

  private func startShared() async -> SharedTasks {
    // It ends with the stop of the layers.
    let layers = Task { [gateway] in await gateway.layers.run() }
    await gateway.layers.settle(within: Self.layerPatience)
    let keeper = OrderKeeper(gateway)
    // Before a client comes in that an order keeps out.
    await keeper.load()
    return SharedTasks(layers: layers, keeping: Task { await keeper.run() })
  }

  private func end(_ shared: SharedTasks) async {
    shared.keeping.cancel()
    await shared.keeping.value
    await gateway.layers.stop(within: Self.layerPatience)
    await shared.layers.value
  }

  /// Returns when everything that was served has ended.
  private func serveAll(_ parts: RunningParts, on sockets: ListeningSockets) async {
    await withTaskGroup { tasks in
      tasks.addTask { [lifecycle] in
        await parts.http.run()
        lifecycle.yield(.serviceFinished)
      }
      await serve(parts, on: sockets)
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
    let tls =
      configuration.needsTLS ? TLSService(threads: configuration.served.hasSecureUpstreams ? count : 0) : nil
    if let certificates = configuration.server.tls { try tls?.use(certificates) }
    let workers = try (0..<count).map { try startWorker($0, http: http, tls: tls) }
    http.connect(to: workers.map(\.mailbox))
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
  private static let layerPatience = Duration.seconds(2)

  private func startWorker(_ index: Int, http: HTTPService, tls: TLSService?) throws -> RunningParts.Worker {
    let (thread, mailbox) = try Reactor.start(name: "reactor-\(index)") { [gateway] reactor in
      reactor.boundSending(
        by: MemoryAllowance(of: gateway.process.sendMemory.budget, among: gateway.process.threads))
      reactor.boundMail(to: gateway.mail.bytes)
      if tls != nil { try reactor.startHandshakeThread(name: "handshakes-\(index)") }
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
  private func serve(_ parts: RunningParts, on sockets: ListeningSockets) async {
    var workers = parts.workers.count
    var services = parts.tls == nil ? 1 : 2
    var isStopping = false
    for await event in lifecycleEvents {
      switch event {
      case .stop, .stopNow:
        if !isStopping {
          sockets.remove()
          beginStop(parts)
        }
        isStopping = true
        if case .stopNow = event { parts.abandon() }
      case .workerFinished:
        workers -= 1
        guard workers == 0 else { break }
        // No worker is left to hand over a connection, or to begin one with TLS.
        parts.http.endArrivals()
        parts.tls?.stop { [lifecycle] in lifecycle.yield(.serviceFinished) }
      case .serviceFinished: services -= 1
      case .renew(let certificates): renew(certificates, of: parts.tls)
      }
      if workers == 0, services == 0 { break }
    }
  }

  private func renew(_ certificates: ServerTLS, of tls: TLSService?) {
    do {
      try tls?.use(certificates)
      log.notice(
        "the certificates were reloaded",
        metadata: [
          "names": "\(certificates.certificates.flatMap(\.names).joined(separator: ", "))",
          "hint": Self.restartHint,
        ])
    } catch {
      log.error(
        "the certificates were not reloaded; the previous ones stay in use", metadata: ["error": "\(error)"])
    }
  }

  /// When the grace is over, `deadline` ends what is left.
  private func beginStop(_ parts: RunningParts) {
    let shutdown = configuration.shutdown
    gateway.process.setReady(false)
    log.notice(
      "stopping",
      metadata: ["sessions": "\(gateway.process.counters.sessions.count)", "grace": "\(shutdown.grace)"])
    let reason = CloseReason.restart(code: CloseCode(rawValue: shutdown.code))
    for worker in parts.workers {
      let order = StopOrder(grace: shutdown.grace, reason: reason) { [lifecycle] in
        lifecycle.yield(.workerFinished)
      }
      worker.mailbox.post(.stop(order))
    }
    parts.http.stop(within: shutdown.grace)
  }
}
