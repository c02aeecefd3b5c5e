import ChannelLayers
import Logging
import Transport

/// Carries out orders on many sessions, a part of them at a time, so that a group of a hundred thousand does not hold up the others of
/// its reactor. Orders are carried out one after the other. Confined to the reactor.
final class SessionSweep {
  /// How long a part may take, and after how long the next one follows.
  private static let (turn, pause) = (Duration.milliseconds(2), Duration.milliseconds(8))
  /// As many sessions for each look at the clock.
  private static let sessionsPerLook = 32
  /// The most orders that may wait. Further ones are carried out on nobody, which the log and the answer tell.
  static let mostWaiting = 1000
  /// The most sessions that they may hold together: 16 bytes for each. A single order is taken however many it is about.
  static let mostMembers = 1_000_000

  private struct Work {
    var members: ArraySlice<any GroupMember>
    /// At its beginning: they are let go of together.
    let size: Int
    var action: (any OrderedSession) -> Void
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
  /// - Returns: false if too many orders wait.
  func run(_ members: [any GroupMember], _ action: @escaping (any OrderedSession) -> Void) -> Bool {
    guard !members.isEmpty else { return true }
    guard
      waiting.isEmpty
        || waiting.count < Self.mostWaiting && waitingMembers + members.count <= Self.mostMembers
    else { return false }
    waiting.append(Work(members: members[...], size: members.count, action: action))
    waitingMembers += members.count
    if waiting.count == 1 { goOn() }
    return true
  }

  private func goOn() {
    let end = endOfShare()
    while let work = waiting.first, MonotonicTime.now < end {
      let part = work.members.prefix(Self.sessionsPerLook)
      waiting[0].members.removeFirst(part.count)
      // What else is in a group is no client's.
      for case let session as any OrderedSession in part { work.action(session) }
      if part.count == work.members.count {
        waitingMembers -= work.size
        waiting.removeFirst()
      }
    }
    guard !waiting.isEmpty else { return }
    // Unowned: the timer is this object's own.
    let timer = timer ?? worker.reactor.timer { [unowned self] in goOn() }
    self.timer = timer
    timer.schedule(after: Self.pause)
  }

  private func endOfShare() -> MonotonicTime {
    let turn = Int(worker.reactor.counters.turns)
    if let share, share.turn == turn { return share.end }
    let end = MonotonicTime.now + Self.turn
    share = (turn, end)
    return end
  }
}
