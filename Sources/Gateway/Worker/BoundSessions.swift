import Sessions
import Transport
import WebSocketCore

/// The sessions of one worker that cannot be handed over to another program, from the moment when that is about to take over.
///
/// Each of them is closed once: its client comes back to the program that takes over. Those who come too early, and those who have never
/// been here, find TLS's listening sockets paused: they wait in the queue, which is handed over. A wait of `longestWait` is less than what
/// clients have patience for, and what they bring by then is less than what a queue holds. Before that, and on connections that are open
/// already, a session that could not be handed over is refused with the time of its turn; plain requests are served.
final class BoundSessions {
  /// How far the closing is.
  enum Progress: Sendable {
    case closing
    /// Every client was told; some have not answered.
    case answering
    /// None is left.
    case over
  }

  /// How long a client may wait in the queue until the other program is expected.
  static let longestWait = Duration.seconds(5)

  private let worker: WorkerSessions
  private let plan: ClosePlan
  private let share: ClosePace.Share
  private let begun: MonotonicTime
  private var pace: ClosePace?
  private var pausing: Timer?

  /// - Parameter pause: called once, when TLS's listening sockets are to be paused.
  init(
    of worker: WorkerSessions, _ plan: ClosePlan, _ share: ClosePace.Share, pause: @escaping () -> Void
  ) {
    self.worker = worker
    self.plan = plan
    self.share = share
    begun = worker.reactor.now
    guard plan.back > Self.longestWait else {
      pause()
      return
    }
    let timer = worker.reactor.timer(pause)
    timer.schedule(after: plan.back - Self.longestWait)
    pausing = timer
  }

  /// When a client is to come back that is refused.
  var retry: Duration { plan.retry(after: worker.reactor.now.since(begun)) }

  func close(_ code: CloseCode) {
    let pace = ClosePace(worker.bound, by: plan, share, on: worker.reactor) { session, retry in
      session.close(.restart(code: code, retry: retry))
    }
    self.pace = pace
    pace.start()
  }

  var progress: Progress {
    guard pace?.isOver != false else { return .closing }
    return worker.boundCount == 0 ? .over : .answering
  }

  func end() {
    pausing?.cancel()
    pace?.end()
  }
}
