import Transport

/// Checks every session of a worker a few times in each ping interval, a part of them at a time: one timer for all sessions
/// instead of one for each.
final class KeepAliveSweep {
  private static let tick = Duration.milliseconds(128)
  /// How often a session is checked within the shortest interval of any route.
  private static let looksPerWait = 4

  /// Unowned: the worker lives while its reactor runs, and nothing uses it afterwards.
  private unowned let worker: WorkerSessions
  private var shortestWait = Duration.seconds(3600)
  private var position = 0
  private var timer: Timer?

  init(worker: WorkerSessions) {
    self.worker = worker
  }

  /// Makes the sweep fast enough for a session with this interval.
  func include(_ wait: Duration) {
    shortestWait = min(shortestWait, wait)
    guard timer == nil else { return }
    // Unowned: the worker keeps the sweep for as long as there are sessions, and without any the timer is not set.
    let timer = worker.reactor.timer { [unowned self] in sweep() }
    self.timer = timer
    timer.schedule(after: Self.tick)
  }

  /// Checks the next part. Stops while there are no sessions; the next session starts it again.
  private func sweep() {
    let sessions = worker.live
    guard !sessions.isEmpty else {
      timer = nil
      return
    }
    let ticks = max(1, Int(shortestWait / Self.looksPerWait / Self.tick))
    let now = worker.reactor.now.nanoseconds
    for _ in 0..<((sessions.count + ticks - 1) / ticks) {
      position = position + 1 < sessions.count ? position + 1 : 0
      sessions[position].checkKeepAlive(at: now)
    }
    timer?.schedule(after: Self.tick)
  }
}
