package import Transport

/// The layer of one process: an event goes to this reactor's groups at once, and with one hop to each other reactor.
///
/// Django: `channels.layers.InMemoryChannelLayer`, but nothing is kept for receivers that are not there.
package final class MemoryChannelLayer: ChannelLayer {
  package let groups: LocalGroups
  private var peers: [Mailbox<GroupEvent>] = []

  /// Where other reactors of the process post events for this one.
  package let mailbox: Mailbox<GroupEvent>

  /// - Parameter number: of the reactor, for the addresses of its sessions.
  package init(reactor: Reactor, number: Int) {
    let groups = LocalGroups(
      reactor: reactor, addresses: SessionAddresses("specific.inmemory!", reactor: number))
    self.groups = groups
    self.mailbox = reactor.mailbox { groups.deliver($0.event, to: $0.group) }
  }

  /// Makes the other reactors known; before the first session is accepted.
  package func connect(to peers: [Mailbox<GroupEvent>]) {
    self.peers = peers
  }

  package func publish(_ event: Event, to group: String, from sender: Membership) {
    groups.deliver(event, to: group)
    for peer in peers {
      // A peer that takes no messages any more is stopping, and its sessions are being closed.
      _ = peer.post(GroupEvent(event, to: group))
    }
  }

  package func subscribe(to group: String, _ completed: @escaping (Subscription) -> Void) {
    completed(.active)
  }

  package func unsubscribe(from group: String) {}
}
