import Transport

/// The state that the reactors of one memory layer share: which of them have subscribers of a group.
///
/// A reactor is listed before the first of its sessions in the group is accepted, so that the session misses no event after
/// that. Without the list every event would wake every reactor.
package final class MemoryHub: Sendable {
  /// A message to a reactor.
  enum Mail: GroupMail {
    case event(GroupEvent)
    case look(@Sendable (LocalGroups) -> Void)
  }

  let ends = GroupEnds<Mail>()

  /// Makes the addresses of sessions.
  let cipher: AddressCipher

  /// Called for each event that a reactor did not get because too many messages wait for it.
  let refused: @Sendable () -> Void

  /// - Parameter state: of the process that this one takes the place of.
  package init(resuming state: LayerState? = nil, refused: @escaping @Sendable () -> Void = {}) {
    cipher = AddressCipher(resuming: state)
    self.refused = refused
  }
}

extension GroupEnd<MemoryHub.Mail> {
  /// - Parameter weight: the event's.
  /// - Returns: false if too much waits for the reactor already.
  func post(_ event: GroupEvent, weight: Int) -> Bool {
    guard !mailbox.load.isOver else { return false }
    // A reactor that takes no messages any more is stopping, and its sessions are being closed.
    mailbox.post(.event(event), weight: weight)
    return true
  }
}
