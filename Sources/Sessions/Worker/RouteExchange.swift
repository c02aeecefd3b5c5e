import GatewayConfig
import Transport

/// Brings a worker's clients to the routes that it serves now, a part of them at a time. Until a client's turn comes, it goes on by the
/// route that it has.
///
/// Those that cannot go on are closed: at once where they may no longer be there, and otherwise spread over some seconds, so that they do
/// not all come back together.
final class RouteExchange {
  // The worker owns it.
  private unowned let worker: WorkerSessions
  private let changes: RouteChanges
  private var watchers: [ExchangeTally] = []
  private var counts = ExchangeCounts()
  private var sweep: LiveSweep?
  private let closing: PacedCloses

  init(of worker: WorkerSessions) {
    self.worker = worker
    changes = RouteChanges(to: worker.served.live)
    closing = PacedCloses(of: worker)
  }

  /// Whether all clients have had their turn.
  private var isOver: Bool { sweep?.isOver != false }

  /// Whether clients are still to be closed.
  var isClosing: Bool { !isOver || !closing.isOver }

  /// Counts for somebody until all clients have had their turn.
  func keep(_ watcher: ExchangeTally) {
    if isOver { watcher.add(counts) } else { watchers.append(watcher) }
  }

  func start() {
    // Unowned: the sweep is this object's own.
    let sweep = LiveSweep(of: worker) { [unowned self] in
      adopt($0)
    } completed: { [unowned self] _ in
      worker.askAsServed()
      end()
    }
    self.sweep = sweep
    sweep.start()
  }

  /// One more client, which has begun to come in before the exchange.
  func adoptLate(_ client: any LiveSession) {
    adopt(client)
    guard isOver else { return }
    changes.forget()
    closing.start()
  }

  private func adopt(_ client: any LiveSession) {
    let outcome = client.adopt(changes)
    counts.add(outcome)
    if case .closes(let end) = outcome?.verdict { closing.close(client, for: end) }
  }

  private func end() {
    sweep?.end()
    counts.longestTurn = sweep?.longestTurn ?? .zero
    counts.arriving = worker.arriving
    for watcher in watchers { watcher.add(counts) }
    watchers = []
    changes.forget()
    closing.start()
  }

  /// Another exchange takes over: it judges the clients that wait for their close again.
  func giveWay() {
    closing.drop()
    end()
  }
}

extension WorkerSessions {
  /// How many handshakes wait for somebody else.
  fileprivate var arriving: Int { pending.values.count { $0.request != nil } }

  /// Finds out what would become of the clients by other routes, which do not change.
  ///
  /// - Parameters:
  ///   - tally: gets the counts, and is released then, or once the worker has ended.
  ///   - plan: when those come back that could not stay, and are closed as by an exchange; nil where nobody is closed. Until
  ///     `forgetForeseen` nobody is let in who could not stay.
  ///   - isHandingOver: whether those are left out that cannot be handed over to another program.
  package func forecast(
    by routes: ServedRoutes, _ tally: ExchangeTally, closing plan: ClosePlan? = nil,
    isHandingOver: Bool = false
  ) {
    let changes = RouteChanges(to: routes.live)
    let foreseen = plan.map { ForeseenRoutes(changes, of: self, by: $0) }
    if let foreseen {
      self.foreseen?.end()
      self.foreseen = foreseen
    }
    var counts = ExchangeCounts()
    counts.arriving = arriving
    visitAll { client in
      guard !isHandingOver || !client.isBound else { return }
      let outcome = client.judge(by: changes)
      counts.add(outcome)
      if case .closes(let end) = outcome?.verdict { foreseen?.close(client, for: end) }
    } completed: { longestTurn in
      foreseen?.start()
      counts.longestTurn = longestTurn
      tally.add(counts)
    }
  }
}
