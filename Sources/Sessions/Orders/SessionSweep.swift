import Transport

/// Carries out orders on many sessions, a part of them at a time, so that a group of a hundred thousand does not hold up the others of
/// its reactor: none of them is looked at before its turn. Orders are carried out one after the other. Confined to the reactor.
final class SessionSweep {
  /// How long a part may take, and after how long the next one follows.
  private static let (turn, pause) = (Duration.milliseconds(2), Duration.milliseconds(8))
  /// As many sessions for each look at the clock.
  private static let sessionsPerLook = 32
  /// The most orders that may wait. Further ones are carried out on nobody, which the log and the answer tell.
  static let mostWaiting = 1000
  /// The most sessions that they may hold together: up to 16 bytes for each. A single order is taken however many it is about.
  static let mostMembers = 1_000_000

  private struct Work {
    var candidates: OrderCandidates
    let action: (any OrderedSession) -> Void
    let completed: () -> Void
  }

  // The worker owns it.
  private unowned let worker: WorkerSessions
  private var waiting: [Work] = []
  private var waitingMembers = 0
  private var timer: Timer?
  /// Orders that come together have the time of one: until when, in which turn of the reactor.
  private var share: (turn: Int, end: MonotonicTime)?

  init(of worker: WorkerSessions) {
    self.worker = worker
  }

  /// Begins at once. What does not fit into a part of a turn follows later.
  ///
  /// - Parameter completed: called once, at once or later, when all of them have had their turn.
  /// - Returns: false if too many orders wait, and nothing is called.
  func run(
    _ candidates: OrderCandidates, _ action: @escaping (any OrderedSession) -> Void,
    _ completed: @escaping () -> Void
  ) -> Bool {
    guard !candidates.isEmpty else {
      completed()
      return true
    }
    guard
      waiting.isEmpty
        || waiting.count < Self.mostWaiting && waitingMembers + candidates.count <= Self.mostMembers
    else { return false }
    waiting.append(Work(candidates: candidates, action: action, completed: completed))
    waitingMembers += candidates.count
    if waiting.count == 1 { goOn() }
    return true
  }

  private func goOn() {
    let end = endOfShare()
    while !waiting.isEmpty, MonotonicTime.now < end { lookAtSome() }
    guard !waiting.isEmpty else { return }
    // Unowned: the timer is this object's own.
    let timer = timer ?? worker.reactor.timer { [unowned self] in goOn() }
    self.timer = timer
    timer.schedule(after: Self.pause)
  }

  /// Some sessions of the first order have their turn.
  private func lookAtSome() {
    let action = waiting[0].action
    for _ in 0..<Self.sessionsPerLook {
      guard let candidate = waiting[0].candidates.next() else { break }
      waitingMembers -= 1
      if let session = candidate as? any OrderedSession { action(session) }
    }
    if waiting[0].candidates.isEmpty { waiting.removeFirst().completed() }
  }

  private func endOfShare() -> MonotonicTime {
    let turn = Int(worker.reactor.counters.turns)
    if let share, share.turn == turn { return share.end }
    let end = MonotonicTime.now + Self.turn
    share = (turn, end)
    return end
  }
}
