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
  /// The most orders that may wait. Further ones are carried out on nobody, which the log tells.
  static let mostWaiting = 1000

  private struct Work {
    var members: ArraySlice<any GroupMember>
    var action: (any OrderedSession) -> Void
  }

  // The worker owns it.
  private unowned let worker: WorkerSessions
  private var waiting: [Work] = []
  private var timer: Timer?

  init(of worker: WorkerSessions) {
    self.worker = worker
  }

  /// Begins at once. What does not fit into a part of a turn follows later.
  ///
  /// - Returns: false if too many orders wait.
  func run(_ members: [any GroupMember], _ action: @escaping (any OrderedSession) -> Void) -> Bool {
    guard !members.isEmpty else { return true }
    guard waiting.count < Self.mostWaiting else { return false }
    waiting.append(Work(members: members[...], action: action))
    if waiting.count == 1 { goOn() }
    return true
  }

  private func goOn() {
    let end = MonotonicTime.now + Self.turn
    while !waiting.isEmpty {
      let (part, action) = (waiting[0].members.prefix(Self.sessionsPerLook), waiting[0].action)
      waiting[0].members.removeFirst(part.count)
      // What else is in a group is no client's.
      for case let session as any OrderedSession in part { action(session) }
      if waiting[0].members.isEmpty { waiting.removeFirst() }
      if MonotonicTime.now >= end { break }
    }
    guard !waiting.isEmpty else { return }
    // Unowned: the timer is this object's own.
    let timer = timer ?? worker.reactor.timer { [unowned self] in goOn() }
    self.timer = timer
    timer.schedule(after: Self.pause)
  }
}
