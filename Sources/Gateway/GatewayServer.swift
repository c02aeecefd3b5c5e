import ChannelLayers
package import GatewayConfig
package import Logging
import NIOCore
import Synchronization
import Transport
import WebSocketCore

/// The running gateway: its reactors, its HTTP side, and how they start and stop together.
///
/// `run` listens, serves until `stop`, and returns when the last connection is closed.
package final class GatewayServer: Sendable {
  /// Why a gateway could not start; one sentence for the operator.
  package struct StartFailure: Error, CustomStringConvertible {
    package var description: String
  }

  private enum Wish: Sendable {
    case stop
    case stopNow
    case workerFinished
    case httpFinished
    case tlsFinished
    case renew(ServerTLS)
  }

  private let configuration: Configuration
  private let gateway: GatewayState
  private let log: Logger
  private let descriptors: DescriptorLimit
  private let wishes: AsyncStream<Wish>
  private let wish: AsyncStream<Wish>.Continuation
  private let deadline: StopDeadline
  /// What a stop ends; nil while nothing is served.
  private let served = ServedBox()

  private final class ServedBox: Sendable {
    let parts = Mutex<Served?>(nil)
  }

  private struct Served: Sendable {
    var workers: [Mailbox<WorkerMessage>]
    var http: HTTPSide
    var tls: TLSSide?

    func abandon() {
      for worker in workers { worker.post(.abandon) }
      http.abandon()
      tls?.abandon()
    }
  }

  /// - Parameter overdue: called on a thread of its own when a stop has gone on for longer than it may; it should end the process.
  package convenience init(
    _ configuration: Configuration, log: Logger, overdue: @escaping @Sendable () -> Void = {}
  ) {
    self.init(
      configuration, log: log, stopBound: StopDeadline.bound, clientSilence: KeepAliveProbes.bound,
      overdue: overdue)
  }

  /// - Parameters:
  ///   - stopBound: how long a stop may go on after `shutdown.grace`.
  ///   - clientSilence: how long an HTTP client may owe the system an answer.
  init(
    _ configuration: Configuration, log: Logger, stopBound: Duration = StopDeadline.bound,
    clientSilence: Duration = KeepAliveProbes.bound, overdue: @escaping @Sendable () -> Void
  ) {
    self.configuration = configuration
    self.log = log
    descriptors = DescriptorLimit.raise()
    let threads = configuration.server.threads ?? System.coreCount
    let shares = descriptors.shares(for: configuration, threads: threads)
    gateway = GatewayState(
      configuration, threads: threads,
      connectionLimit: min(configuration.server.connections ?? shares.connections, shares.connections),
      extraConnections: shares.extras, clientSilence: clientSilence, log: log)
    let (wishes, wish) = AsyncStream.makeStream(of: Wish.self)
    (self.wishes, self.wish) = (wishes, wish)
    deadline = StopDeadline(bound: stopBound) { [served] in
      wish.yield(.stopNow)
      // Whoever is to fulfil the wish may have no thread.
      served.parts.withLock { $0 }?.abandon()
    } overdue: {
      log.error(
        "the stop did not come to its end",
        metadata: ["bound": "\(configuration.shutdown.grace + stopBound)", "hint": "the process ends now"])
      overdue()
    }
  }

  /// Sets how the process takes memory and gives it back; at its start.
  package static func settleMemory() {
    ProcessMemory.settle()
  }

  /// Asks the gateway to stop as `shutdown:` says. Callable from any thread, more than once.
  package func stop() {
    limitStop(to: configuration.shutdown.grace)
    wish.yield(.stop)
  }

  /// Asks the gateway to close everything at once.
  package func stopNow() {
    limitStop(to: .zero)
    wish.yield(.stopNow)
  }

  private func limitStop(to grace: Duration) {
    do {
      try deadline.begin(grace)
    } catch {
      log.error("the time for the stop is not watched", metadata: ["error": "\(error)"])
    }
  }

  /// Reads the files of `server.tls` again: new connections get what is in them now, and the others go on. Where something is wrong
  /// with them, the log says so, and nothing changes. Callable from any thread.
  ///
  /// - Parameter environment: what `{env: NAME}` is looked up in.
  package func reloadCertificates(environment: [String: String]) {
    guard let tls = configuration.server.tls else {
      return log.notice("there is nothing to reload: the file has no server.tls")
    }
    let (renewed, report) = ConfigurationLoader.reload(tls, environment: environment)
    for finding in report.findings {
      let place = finding.range.map { "\($0.file.path):\($0.start.line):\($0.start.column)" } ?? report.path
      log.log(
        level: finding.severity == .error ? .error : .warning, "\(finding.message)",
        metadata: ["place": "\(place)"])
    }
    if let renewed {
      wish.yield(.renew(renewed))
    } else {
      log.error("the certificates were not reloaded, and stay as they were")
    }
  }

  /// Tries to reach the channel layers that routes use, before `run`.
  ///
  /// - Returns: for each that cannot be reached, a sentence. The gateway can be run all the same; it goes on trying.
  package func unreachableLayers() async -> [String] {
    await gateway.layers.firstConnection()
  }

  /// Serves until stopped.
  ///
  /// - Parameter listening: told the addresses, with the real ports, once connections are accepted.
  /// - Throws: `StartFailure`, before anything is served.
  package func run(listening: @Sendable ([BoundAddress]) -> Void = { _ in }) async throws {
    let count = gateway.threads
    warnOfDescriptors()
    let sockets = try ListeningSockets.open(configuration.server.listeners, for: count)
    let http = HTTPSide(gateway: gateway)
    let tls = configuration.needsTLS ? TLSSide(gateway: gateway, threads: count) : nil
    if let certificates = configuration.server.tls { try tls?.use(certificates) }
    let workers = try (0..<count).map { try startWorker($0, http: http, tls: tls) }
    http.connect(to: workers.map(\.mailbox))
    served.parts.withLock { $0 = Served(workers: workers.map(\.mailbox), http: http, tls: tls) }
    defer { served.parts.withLock { $0 = nil } }
    await connectLayers(to: workers)
    let layers = Task { [gateway] in await gateway.layers.run() }
    await gateway.layers.settle(within: Self.layerPatience)
    for (index, worker) in workers.enumerated() {
      _ = worker.mailbox.post(.start(listeners: sockets.listeners[index]))
    }
    let memory = try gateway.memoryReturn.start()
    gateway.setReady(true)
    listening(sockets.addresses)
    log.notice(
      "started",
      metadata: [
        "application": "\(gateway.application.name)", "threads": "\(count)",
        "websocket-routes": "\(gateway.application.webSocketRoutes.count)",
        "http-routes": "\(gateway.application.httpRoutes.count)",
        "connections": "\(gateway.connectionLimit)",
      ])
    for file in sockets.privateFiles { tellPrivate(file) }
    await withTaskGroup { tasks in
      tasks.addTask { [wish] in
        await http.run()
        wish.yield(.httpFinished)
      }
      await serve(workers, http: http, tls: tls, on: sockets)
    }
    await gateway.layers.stop(within: Self.layerPatience)
    await layers.value
    for worker in workers { worker.thread.stop() }
    for worker in workers { worker.thread.join() }
    try await http.shutDown()
    try await tls?.shutDown()
    memory.stop()
    memory.join()
    try await gateway.layers.shutDown()
    var summary = gateway.summary
    summary["accept-failures"] = "\(gateway.acceptFailures.count)"
    deadline.end()
    log.notice("stopped", metadata: summary)
  }

  /// A proxy that is another user finds the file and is not let in.
  private func tellPrivate(_ file: SocketFile) {
    log.notice(
      "only processes of this user can connect to the Unix socket",
      metadata: [
        "socket": "\(file.path)", "mode": "0\(String(file.mode ?? 0, radix: 8))",
        "hint":
          "to let a proxy of another user in, write bind: {address: \"unix:\(file.path)\", mode: \"0660\", group: GROUP}",
      ])
  }

  /// More connections than there are descriptors for would not be refused, but reset.
  private func warnOfDescriptors() {
    guard let wanted = configuration.server.connections, wanted > gateway.connectionLimit else { return }
    let needed = descriptors.needed(for: wanted, of: configuration, threads: gateway.threads)
    log.warning(
      "limits.connections was lowered to what the limit on open files has room for",
      metadata: [
        "connections": "\(gateway.connectionLimit)", "wanted": "\(wanted)",
        "open-files": "\(descriptors.descriptors)",
        "hint":
          "raise the limit on open files (ulimit -n, LimitNOFILE) to \(needed), or lower limits.connections",
      ])
  }

  private struct RunningWorker: Sendable {
    var thread: ReactorThread
    var mailbox: Mailbox<WorkerMessage>
    /// By layer; nil for one in memory.
    var layers: [Mailbox<RedisDelivery>?]
    /// By layer; nil for one that keeps no history.
    var news: [Mailbox<HistoryNews>?]
  }

  /// How long a stop waits for channel layers to take note of it.
  private static let layerPatience = Duration.seconds(2)

  private func startWorker(_ index: Int, http: HTTPSide, tls: TLSSide?) throws -> RunningWorker {
    let gateway = gateway
    let (thread, ends) = try Reactor.start(name: "reactor-\(index)") { reactor in
      reactor.boundSending(by: MemoryAllowance(of: gateway.sendMemory.budget, among: gateway.threads))
      reactor.boundMail(to: gateway.mail.bytes)
      let worker = Worker(reactor: reactor, number: index, gateway: gateway, http: http, tls: tls)
      // The mailbox keeps the worker for as long as its reactor turns.
      let mailbox = reactor.mailbox { worker.handle($0) }
      worker.mailbox = mailbox
      return (mailbox: mailbox, layers: worker.layers.map(\.mailbox), news: worker.layers.map(\.news))
    }
    return RunningWorker(thread: thread, mailbox: ends.mailbox, layers: ends.layers, news: ends.news)
  }

  private func connectLayers(to workers: [RunningWorker]) async {
    for (index, layer) in gateway.layers.all.enumerated() {
      guard case .redis(let hub) = layer else { continue }
      let recorder = gateway.layers.recorders[index]
      await recorder?.connect(to: workers.compactMap { $0.news[index] })
      await hub.connect(to: workers.compactMap { $0.layers[index] }, recording: recorder)
    }
  }
}

// MARK: - Stopping

extension GatewayServer {
  /// Waits for the wish to stop, and for its fulfilment.
  private func serve(
    _ workers: [RunningWorker], http: HTTPSide, tls: TLSSide?, on sockets: ListeningSockets
  ) async {
    var unfinished = workers.count
    var isHTTPFinished = false
    var isTLSFinished = tls == nil
    var isStopping = false
    for await wished in wishes {
      switch wished {
      case .stop where !isStopping:
        isStopping = true
        sockets.remove()
        beginStop(workers, http: http)
      case .stop:
        break
      case .stopNow:
        if !isStopping {
          sockets.remove()
          beginStop(workers, http: http)
        }
        isStopping = true
        Served(workers: workers.map(\.mailbox), http: http, tls: tls).abandon()
      case .workerFinished:
        unfinished -= 1
        // Nobody is left who would begin with another one.
        if unfinished == 0 { tls?.stop { [wish] in wish.yield(.tlsFinished) } }
      case .httpFinished:
        isHTTPFinished = true
      case .tlsFinished:
        isTLSFinished = true
      case .renew(let certificates):
        renew(certificates, of: tls)
      }
      if unfinished == 0, isHTTPFinished, isTLSFinished { break }
    }
  }

  private func renew(_ certificates: ServerTLS, of tls: TLSSide?) {
    do {
      try tls?.use(certificates)
      log.notice(
        "the certificates were reloaded",
        metadata: ["names": "\(certificates.certificates.flatMap(\.names).joined(separator: ", "))"])
    } catch {
      log.error("the certificates were not reloaded, and stay as they were", metadata: ["error": "\(error)"])
    }
  }

  /// When the grace is over, `deadline` ends what is left.
  private func beginStop(_ workers: [RunningWorker], http: HTTPSide) {
    let shutdown = configuration.shutdown
    gateway.setReady(false)
    log.notice(
      "stopping",
      metadata: ["sessions": "\(gateway.counters.sessions.count)", "grace": "\(shutdown.grace)"])
    let reason = CloseReason.restart(code: CloseCode(rawValue: shutdown.code))
    for worker in workers {
      let order = StopOrder(grace: shutdown.grace, reason: reason) { [wish] in wish.yield(.workerFinished) }
      _ = worker.mailbox.post(.stop(order))
    }
    http.stop()
  }
}
