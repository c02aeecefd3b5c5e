import Synchronization
import Transport

/// The state that the reactors of one memory layer share: which of them have subscribers of a group.
///
/// A reactor is listed before the first of its sessions in the group is accepted, so that the session misses no event after
/// that. Without the list every event would wake every reactor.
package final class MemoryHub: Sendable {
  /// The way to send events to a reactor.
  struct End: Sendable {
    var number: Int
    var mailbox: Mailbox<GroupEvent>

    /// - Parameter weight: the event's.
    /// - Returns: false where too much waits for the reactor already.
    func post(_ event: GroupEvent, weight: Int) -> Bool {
      guard !mailbox.load.isOver else { return false }
      // A reactor that takes no messages any more is stopping, and its sessions are being closed.
      mailbox.post(event, weight: weight)
      return true
    }
  }

  private let stripes = Striped<[String: [End]]>([:])

  /// Called for each event that a reactor did not get because too many messages wait for it.
  let refused: @Sendable () -> Void

  package init(refused: @escaping @Sendable () -> Void = {}) {
    self.refused = refused
  }

  func add(_ end: End, to group: String) {
    stripes[group].part.withLock { $0[group, default: []].append(end) }
  }

  func remove(_ number: Int, from group: String) {
    stripes[group].part.withLock { ends in
      ends[group]?.removeAll { $0.number == number }
      if ends[group]?.isEmpty == true { ends[group] = nil }
    }
  }

  /// The reactors with subscribers of the group.
  func ends(of group: String) -> [End] {
    stripes[group].part.withLock { $0[group] ?? [] }
  }
}
