import Transport

/// Visits every client of a worker once, a part of them at a time, so that no turn of the reactor takes long. Clients that come meanwhile
/// are not visited.
final class LiveSweep {
  /// How long a part may take, and after how long the next one follows.
  private static let (turn, pause) = (Duration.milliseconds(2), Duration.milliseconds(16))
  /// As many clients for each look at the clock.
  private static let clientsPerLook = 16

  // The worker keeps whoever keeps this.
  private unowned let worker: WorkerSessions
  private let visit: (any LiveSession) -> Void
  private let completed: (_ longestTurn: Duration) -> Void
  private var timer: Timer?
  /// Those whose turn is still to come, the next one last. Some may have left meanwhile.
  private var coming: [any LiveSession]
  private(set) var longestTurn = Duration.zero
  private(set) var isOver = false

  /// - Parameter completed: called once, unless `end` is called before, with the longest time for which the reactor was kept at once.
  init(
    of worker: WorkerSessions, _ visit: @escaping (any LiveSession) -> Void,
    completed: @escaping (_ longestTurn: Duration) -> Void
  ) {
    self.worker = worker
    self.visit = visit
    self.completed = completed
    coming = worker.live
  }

  func start() { visitNext() }

  private func visitNext() {
    let start = MonotonicTime.now
    let isLast = visitPart(until: start + Self.turn)
    longestTurn = max(longestTurn, MonotonicTime.now.since(start))
    guard !isLast else {
      end()
      return completed(longestTurn)
    }
    // Unowned: the timer is this object's own.
    let timer = timer ?? worker.reactor.timer { [unowned self] in visitNext() }
    self.timer = timer
    timer.schedule(after: Self.pause)
  }

  /// - Returns: whether all have been visited.
  private func visitPart(until end: MonotonicTime) -> Bool {
    repeat {
      for _ in 0..<Self.clientsPerLook {
        guard let client = coming.popLast() else { return true }
        if worker.isLive(client) { visit(client) }
      }
    } while MonotonicTime.now < end
    return false
  }

  /// Nobody else is visited.
  func end() {
    timer?.cancel()
    timer = nil
    coming = []
    isOver = true
  }
}

extension WorkerSessions {
  /// Visits every client once, in the course of some turns.
  ///
  /// - Parameter completed: called once, unless the worker ends before.
  func visitAll(
    _ visit: @escaping (any LiveSession) -> Void, completed: @escaping (_ longestTurn: Duration) -> Void
  ) {
    let number = nextSweep
    nextSweep += 1
    // Unowned: the worker lives while its reactor runs.
    let sweep = LiveSweep(of: self, visit) { [unowned self] longestTurn in
      sweeps[number] = nil
      completed(longestTurn)
    }
    sweeps[number] = sweep
    sweep.start()
  }
}
