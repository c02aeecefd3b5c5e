import Transport

/// Brings a worker's sessions to the routes that it serves now, a part of them at a time. Until a session's turn comes, it goes on
/// by the route that it has.
final class RouteExchange {
  /// How long a part may take, and after how long the next one follows.
  private static let (turn, pause) = (Duration.milliseconds(2), Duration.milliseconds(16))
  /// As many sessions for each look at the clock.
  private static let sessionsPerLook = 32

  // The worker owns it.
  private unowned let worker: WorkerSessions
  private var watchers: [AnyObject] = []
  private var timer: Timer?
  /// Sessions with a smaller index are still to come. One that leaves is replaced by the last one, which has had its turn.
  private var next: Int

  init(of worker: WorkerSessions) {
    self.worker = worker
    next = worker.live.count
  }

  /// Keeps somebody until all sessions have had their turn.
  func keep(_ watcher: AnyObject) {
    if next > 0 { watchers.append(watcher) }
  }

  func sweep() {
    let end = MonotonicTime.now + Self.turn
    repeat {
      for _ in 0..<Self.sessionsPerLook {
        next = min(next, worker.live.count) - 1
        guard next >= 0 else {
          worker.askAsServed()
          return self.end()
        }
        worker.live[next].adopt(worker.served.live)
      }
    } while MonotonicTime.now < end
    // Unowned: the timer is this object's own.
    let timer = timer ?? worker.reactor.timer { [unowned self] in sweep() }
    self.timer = timer
    timer.schedule(after: Self.pause)
  }

  /// Also where another exchange takes over, whose sweep does the rest.
  func end() {
    timer?.cancel()
    timer = nil
    next = 0
    watchers = []
  }
}
