import Synchronization
package import Transport

/// The memory that the histories of all layers share in this process.
package final class HistoryMemory: Sendable {
  /// Bytes.
  let limit: Int
  private let used = Atomic<Int>(0)
  /// The memory of groups in use, without their events. It cannot be freed. Bytes.
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

  /// A layer is not used any more: its events are forgotten.
  package func unregister(_ history: GroupHistory) {
    histories.withLock { $0.removeAll { $0 === history } }
    for group in history.all() {
      add(-group.dropOldest(.max))
      history.forgetIfEmpty(group)
    }
  }

  /// Forgets the events and groups of all layers that are too old. To be called every few seconds, on a thread without connections.
  package func forgetOld(at now: MonotonicTime = .now) {
    for history in histories.withLock({ $0 }) { history.forgetOld(at: now) }
  }

  /// Adds to the used memory; a negative number if memory was freed.
  func add(_ bytes: Int) {
    guard bytes != 0 else { return }
    used.add(bytes, ordering: .relaxed)
  }

  /// Adds to the number of groups in use. The caller must not hold a lock.
  func hold(_ groups: Int) {
    held.add(groups * RecordedGroup.emptySize, ordering: .relaxed)
  }

  /// The used memory above which room is made. Bytes.
  ///
  /// It exceeds the limit if groups without their events take up most of the limit. Otherwise each new event would cause a search
  /// for room that finds none, and the event itself would be removed before it is delivered.
  private var most: Int { max(limit, held.load(ordering: .relaxed) + limit / 4) }

  /// Removes the oldest events of the groups whose last event is oldest. It frees an eighth of the limit more than needed, so that
  /// the next events find room. If another thread is doing this, the call returns at once. The caller must not hold a lock.
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
