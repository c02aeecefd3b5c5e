import Synchronization

/// What the histories of all layers may take up together in this process.
package final class HistoryMemory: Sendable {
  /// Bytes.
  let limit: Int
  private let used = Atomic<Int>(0)
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

  /// Notes that more is kept, or less. With no lock held.
  func add(_ bytes: Int) {
    guard bytes != 0 else { return }
    used.add(bytes, ordering: .relaxed)
  }

  /// Takes from those that were published to longest ago, an eighth more than needed: what comes next finds room.
  /// With no lock held; whoever finds somebody else at it goes on.
  func makeRoom() {
    guard usedBytes > limit else { return }
    isMakingRoom.withLockIfAvailable { _ in
      let groups = histories.withLock { $0 }.flatMap { history in
        history.all().map { (group: $0, history: history, time: $0.lastPublished) }
      }
      let wanted = limit - limit / 8
      for (group, history, _) in groups.sorted(by: { $0.time < $1.time }) {
        guard usedBytes > wanted else { return }
        add(-group.dropOldest(usedBytes - wanted))
        history.forgetIfEmpty(group)
      }
    }
  }
}
