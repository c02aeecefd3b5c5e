import Sessions
import Transport

/// The time in which the clients that were accepted last get their answers, once nothing more is accepted and before a stop begins.
///
/// Where another process listens at the same addresses, nobody is refused because of the stop: who connected here a moment ago, and has
/// not sent its request yet, becomes a session, and is closed like the others.
final class LastArrivals {
  private static let look = Duration.milliseconds(20)
  /// Browsers open connections ahead of need, and may never use them.
  static let most = Duration.seconds(1)

  private let worker: WorkerSessions
  private let end: MonotonicTime
  private let done: () -> Void
  private var timer: Timer?

  /// - Parameter done: called once.
  init(of worker: WorkerSessions, within time: Duration, done: @escaping () -> Void) {
    self.worker = worker
    self.done = done
    end = worker.reactor.now + min(time, Self.most)
  }

  func start() {
    // Unowned: the worker keeps it until it is done.
    timer = worker.reactor.timer { [unowned self] in look() }
    look()
  }

  /// Does not wait any longer.
  func cutShort() {
    timer?.cancel()
    done()
  }

  private func look() {
    guard !worker.pending.isEmpty, worker.reactor.now < end else { return done() }
    timer?.schedule(after: Self.look)
  }
}
