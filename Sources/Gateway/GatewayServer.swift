import ChannelLayers
package import GatewayConfig
package import Logging
import NIOCore
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
  }

  private let configuration: Configuration
  private let gateway: GatewayState
  private let log: Logger
  private let wishes: AsyncStream<Wish>
  private let wish: AsyncStream<Wish>.Continuation

  package init(_ configuration: Configuration, log: Logger) {
    self.configuration = configuration
    self.log = log
    let descriptors = DescriptorLimit.raise()
    gateway = GatewayState(
      configuration,
      connectionLimit: configuration.server.connections
        ?? descriptors.forConnections(of: configuration.served),
      log: log
    )
    (wishes, wish) = AsyncStream.makeStream()
  }

  /// Asks the gateway to stop as `shutdown:` says. Callable from any thread, more than once.
  package func stop() {
    wish.yield(.stop)
  }

  /// Asks the gateway to close everything at once.
  package func stopNow() {
    wish.yield(.stopNow)
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
    let count = configuration.server.threads ?? System.coreCount
    let sockets = try ListeningSockets.open(configuration.server.bind, for: count)
    let http = HTTPSide(gateway: gateway)
    let workers = try (0..<count).map { try startWorker($0, http: http) }
    http.connect(to: workers.map(\.mailbox))
    await connectLayers(to: workers)
    let layers = Task { [gateway] in await gateway.layers.run() }
    await gateway.layers.settle(within: Self.layerPatience)
    for (index, worker) in workers.enumerated() {
      _ = worker.mailbox.post(.start(listeners: sockets.descriptors[index]))
    }
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
    await withTaskGroup { tasks in
      tasks.addTask { [wish] in
        await http.run()
        wish.yield(.httpFinished)
      }
      await serve(workers, http: http, on: sockets)
    }
    await gateway.layers.stop(within: Self.layerPatience)
    await layers.value
    for worker in workers { worker.thread.stop() }
    for worker in workers { worker.thread.join() }
    try await http.shutDown()
    try await gateway.layers.shutDown()
    log.notice("stopped", metadata: gateway.counters.summary)
  }

  private struct RunningWorker: Sendable {
    var thread: ReactorThread
    var mailbox: Mailbox<WorkerMessage>
    /// By layer; nil for one in memory.
    var layers: [Mailbox<RedisDelivery>?]
  }

  /// How long a stop waits for channel layers to take note of it.
  private static let layerPatience = Duration.seconds(2)

  private func startWorker(_ index: Int, http: HTTPSide) throws -> RunningWorker {
    let gateway = gateway
    let (thread, ends) = try Reactor.start(name: "reactor-\(index)") { reactor in
      let worker = Worker(reactor: reactor, number: index, gateway: gateway, http: http)
      // The mailbox keeps the worker for as long as its reactor turns.
      let mailbox = reactor.mailbox { worker.handle($0) }
      worker.mailbox = mailbox
      return (mailbox: mailbox, layers: worker.layers.map(\.mailbox))
    }
    return RunningWorker(thread: thread, mailbox: ends.mailbox, layers: ends.layers)
  }

  private func connectLayers(to workers: [RunningWorker]) async {
    for (index, layer) in gateway.layers.all.enumerated() {
      guard case .redis(let hub) = layer else { continue }
      await hub.connect(to: workers.compactMap { $0.layers[index] })
    }
  }
}

// MARK: - Stopping

extension GatewayServer {
  /// Waits for the wish to stop, and for its fulfilment.
  private func serve(_ workers: [RunningWorker], http: HTTPSide, on sockets: ListeningSockets) async {
    var unfinished = workers.count
    var isHTTPFinished = false
    var isStopping = false
    var deadline: Task<Void, Never>?
    for await wished in wishes {
      switch wished {
      case .stop where !isStopping:
        isStopping = true
        sockets.remove()
        deadline = beginStop(workers, http: http)
      case .stop:
        break
      case .stopNow:
        if !isStopping {
          sockets.remove()
          deadline = beginStop(workers, http: http)
        }
        isStopping = true
        for worker in workers { _ = worker.mailbox.post(.abandon) }
        http.abandon()
      case .workerFinished:
        unfinished -= 1
      case .httpFinished:
        isHTTPFinished = true
      }
      if unfinished == 0, isHTTPFinished { break }
    }
    deadline?.cancel()
  }

  /// - Returns: the task that ends what is left when the grace is over.
  private func beginStop(_ workers: [RunningWorker], http: HTTPSide) -> Task<Void, Never> {
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
    return Task { [wish] in
      do {
        try await Task.sleep(for: shutdown.grace)
        wish.yield(.stopNow)
      } catch {
        // Everybody was gone before the time was over.
      }
    }
  }
}
