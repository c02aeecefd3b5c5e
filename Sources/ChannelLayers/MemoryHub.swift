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
  }

  /// Several, so that reactors seldom wait for each other.
  private final class Stripe: Sendable {
    let ends = Mutex<[String: [End]]>([:])
  }

  private static let stripeCount = 64
  private let stripes = (0..<stripeCount).map { _ in Stripe() }

  package init() {}

  func add(_ end: End, to group: String) {
    stripe(of: group).ends.withLock { $0[group, default: []].append(end) }
  }

  func remove(_ number: Int, from group: String) {
    stripe(of: group).ends.withLock { ends in
      ends[group]?.removeAll { $0.number == number }
      if ends[group]?.isEmpty == true { ends[group] = nil }
    }
  }

  /// The reactors with subscribers of the group.
  func ends(of group: String) -> [End] {
    stripe(of: group).ends.withLock { $0[group] ?? [] }
  }

  private func stripe(of group: String) -> Stripe {
    stripes[Int(UInt(bitPattern: group.hashValue) % UInt(Self.stripeCount))]
  }
}
