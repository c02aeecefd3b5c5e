import Synchronization
import Transport

/// What the reactors' ends of one memory layer share: on which of them a group has subscribers.
///
/// A reactor is listed before the first of its sessions in the group is told that it is accepted, so whatever is published
/// after that finds it. Without the list every event would wake every reactor.
package final class MemoryHub: Sendable {
  /// Where a reactor gets its events.
  struct End: Sendable {
    var number: Int
    var mailbox: Mailbox<GroupEvent>
    var backlog: Backlog

    /// - Returns: false where too much waits for the reactor already.
    func post(_ event: GroupEvent) -> Bool {
      guard backlog.takes(event.weight) else { return false }
      // A reactor that takes no messages any more is stopping, and its sessions are being closed.
      _ = mailbox.post(event)
      return true
    }
  }

  /// What was posted to a reactor and is not delivered yet, in bytes. One reactor may publish faster than another one, which
  /// has more members, sends; that must not fill the memory.
  final class Backlog: Sendable {
    private let most: Int
    private let waiting = Atomic<Int>(0)

    init(most: Int) {
      self.most = most
    }

    /// Beyond the most there is only what each of the others posts at the same moment.
    fileprivate func takes(_ weight: Int) -> Bool {
      guard waiting.load(ordering: .relaxed) < most else { return false }
      waiting.add(weight, ordering: .relaxed)
      return true
    }

    func delivered(_ weight: Int) {
      waiting.subtract(weight, ordering: .relaxed)
    }
  }

  private let stripes = Striped<[String: [End]]>([:])

  /// Bytes that may wait for each reactor.
  let mostWaiting: Int

  package init(mostWaiting: Int = 64 << 20) {
    self.mostWaiting = mostWaiting
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

extension GroupEvent {
  /// About what it takes up while it waits, in bytes. What sessions publish is bytes; JSON that is taken apart comes from other
  /// processes only, which this layer does not know.
  package var weight: Int {
    event.fields.reduce(256) { sum, field in
      switch field.value {
      case .encodedJSON(let bytes), .text(let bytes), .bytes(let bytes): sum + bytes.count
      case .json: sum
      }
    }
  }
}
