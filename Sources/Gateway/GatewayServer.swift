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
      configuration, connectionLimit: configuration.server.connections ?? descriptors.forConnections, log: log
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

  /// Serves until stopped.
  ///
  /// - Parameter listening: told the addresses, with the real ports, once connections are accepted.
  /// - Throws: `StartFailure`, before anything is served.
  package func run(listening: @Sendable ([BoundAddress]) -> Void = { _ in }) async throws {
    try refuseLayersNotBuiltIn()
    let count = configuration.server.threads ?? System.coreCount
    let sockets = try ListeningSockets.open(configuration.server.bind, for: count)
    let http = HTTPSide(gateway: gateway)
    let workers = try (0..<count).map { try startWorker($0, http: http) }
    http.connect(to: workers.map(\.mailbox))
    for (index, worker) in workers.enumerated() {
      let peers = workers.enumerated().filter { $0.offset != index }.map(\.element.layer)
      _ = worker.mailbox.post(.start(listeners: sockets.descriptors[index], peers: peers))
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
      await serve(workers, http: http)
    }
    for worker in workers { worker.thread.stop() }
    for worker in workers { worker.thread.join() }
    try await http.shutDown()
    sockets.remove()
    log.notice("stopped", metadata: ["sessions": "\(gateway.counters.sessionsOpened.count)"])
  }

  private struct RunningWorker: Sendable {
    var thread: ReactorThread
    var mailbox: Mailbox<WorkerMessage>
    var layer: Mailbox<GroupEvent>
  }

  private func startWorker(_ index: Int, http: HTTPSide) throws -> RunningWorker {
    let gateway = gateway
    let (thread, ends) = try Reactor.start(name: "reactor-\(index)") { reactor in
      let worker = Worker(reactor: reactor, gateway: gateway, http: http)
      // The mailbox keeps the worker for as long as its reactor turns.
      return (mailbox: reactor.mailbox { worker.handle($0) }, layer: worker.layer.mailbox)
    }
    return RunningWorker(thread: thread, mailbox: ends.mailbox, layer: ends.layer)
  }

  /// The channel layers that the served routes may use, and that this build has not.
  private func refuseLayersNotBuiltIn() throws {
    for layer in configuration.channelLayers {
      switch layer.backend {
      case .memory: continue
      case .redis:
        throw StartFailure(
          description:
            "channel layer \"\(layer.alias)\" (line \(layer.range.start.line)) is \(layer.name.rawValue): "
            + "this build has no Redis yet; use `backend: memory`, which reaches the sessions of one process")
      }
    }
  }
}

// MARK: - Stopping

extension GatewayServer {
  /// Waits for the wish to stop, and for its fulfilment.
  private func serve(_ workers: [RunningWorker], http: HTTPSide) async {
    var unfinished = workers.count
    var isHTTPFinished = false
    var isStopping = false
    var deadline: Task<Void, Never>?
    for await wished in wishes {
      switch wished {
      case .stop where !isStopping:
        isStopping = true
        deadline = beginStop(workers, http: http)
      case .stop:
        break
      case .stopNow:
        if !isStopping { deadline = beginStop(workers, http: http) }
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
