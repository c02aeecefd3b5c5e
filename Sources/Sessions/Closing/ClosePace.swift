package import Transport

/// Closes the sessions of one reactor by a plan, a few at a time: at a stop, or those that cannot be handed over to another program.
///
/// Confined to its reactor. The owner keeps it until it is over. Sessions may end by themselves meanwhile.
package final class ClosePace {
  static let tick = Duration.milliseconds(50)
  /// More in one step would keep the other connections waiting; the rest follows in the next turn of the timers.
  private static let mostPerStep = 256

  private let reactor: Reactor
  private let plan: ClosePlan
  private let share: Share
  private let close: (any LiveSession, Duration) -> Void
  private let begun: MonotonicTime
  private let count: Int
  private var waiting: [any LiveSession]
  private var timer: Timer?

  /// Which reactor it is, among those that follow the same plan.
  package struct Share: Sendable {
    package var reactor: Int
    package var reactors: Int

    package init(reactor: Int, of reactors: Int) {
      (self.reactor, self.reactors) = (reactor, reactors)
    }
  }

  /// - Parameters:
  ///   - sessions: of this reactor; the last one is closed first.
  ///   - close: closes a session whose client is to come back after so long. See `CloseReason.retrying`.
  package init(
    _ sessions: [any LiveSession], by plan: ClosePlan, _ share: Share, on reactor: Reactor,
    close: @escaping (any LiveSession, Duration) -> Void
  ) {
    self.reactor = reactor
    self.plan = plan
    self.share = share
    self.close = close
    begun = reactor.now
    count = sessions.count
    waiting = sessions
  }

  /// Whether no session is left to close.
  package var isOver: Bool { waiting.isEmpty }

  package func start() {
    // Unowned: the owner keeps the pace until it is over, or ends it.
    timer = reactor.timer { [unowned self] in step() }
    step()
  }

  /// Closes no more sessions.
  package func end() {
    timer?.cancel()
    waiting = []
  }

  /// Closes those whose time comes before the next step.
  private func step() {
    let now = reactor.now.since(begun)
    let end = Self.tick * (Int(now / Self.tick) + 1)
    for _ in 0..<Self.mostPerStep {
      guard let session = waiting.last else { return }
      let place = ClosePlan.place(
        of: count - waiting.count, among: count, reactor: share.reactor, of: share.reactors)
      guard plan.close(at: place) < end else {
        timer?.schedule(after: Self.tick)
        return
      }
      waiting.removeLast()
      close(session, plan.retry(at: place, after: now))
    }
    if !waiting.isEmpty { timer?.schedule(after: .zero) }
  }
}
