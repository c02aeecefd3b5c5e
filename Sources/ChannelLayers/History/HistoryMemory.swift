import Synchronization
package import Transport

/// What the histories of all layers may take up together in this process.
package final class HistoryMemory: Sendable {
  /// Bytes.
  let limit: Int
  private let used = Atomic<Int>(0)
  /// What groups take up that somebody uses, without their events: it cannot be freed. Bytes.
  private let held = Atomic<Int>(0)
  private let histories = Mutex<[GroupHistory]>([])
  private let isMakingRoom = Mutex<Void>(())

  /// - Parameter limit: bytes.
  package init(limit: Int = 64 << 20) {
    self.limit = limit
  }

  /// Bytes.
  package var usedBytes: Int { used.load(ordering: .relaxed) }

  func register(_ history: GroupHistory) {
    histories.withLock { $0.append(history) }
  }

  /// Forgets the events and groups of all layers that are too old. To be called every few seconds, on no reactor.
  ///
  /// - Returns: how much less is kept than before. Bytes.
  package func forgetOld(at now: MonotonicTime = .now) -> Int {
    let before = usedBytes
    for history in histories.withLock({ $0 }) { history.forgetOld(at: now) }
    return max(0, before - usedBytes)
  }

  /// Notes that more is kept, or less. With no lock held.
  func add(_ bytes: Int) {
    guard bytes != 0 else { return }
    used.add(bytes, ordering: .relaxed)
  }

  /// Notes that more groups are used, or fewer. With no lock held.
  func hold(_ groups: Int) {
    held.add(groups * RecordedGroup.emptySize, ordering: .relaxed)
  }

  /// More than the limit where groups alone take up most of it: to look for room in vain with each event would stop everything,
  /// and would take the event itself before it is delivered. Bytes.
  private var most: Int { max(limit, held.load(ordering: .relaxed) + limit / 4) }

  /// Takes from those that were published to longest ago, an eighth more than needed: what comes next finds room.
  /// With no lock held; whoever finds somebody else at it goes on.
  func makeRoom() {
    let most = most
    guard usedBytes > most else { return }
    isMakingRoom.withLockIfAvailable { _ in
      let groups = histories.withLock { $0 }.flatMap { history in
        history.all().map { (group: $0, history: history, time: $0.lastPublished) }
      }
      let wanted = most - limit / 8
      for (group, history, _) in groups.sorted(by: { $0.time < $1.time }) {
        guard usedBytes > wanted else { return }
        add(-group.dropOldest(usedBytes - wanted))
        history.forgetIfEmpty(group)
      }
    }
  }
}
