package import Transport

/// The layer of one process: an event goes to this reactor's groups at once, and with one hop to each other reactor.
///
/// Django: `channels.layers.InMemoryChannelLayer`, but nothing is kept for receivers that are not there.
package final class MemoryChannelLayer: ChannelLayer {
  private let groups: LocalGroups
  private var peers: [Mailbox<GroupEvent>] = []

  /// Where other reactors of the process post events for this one.
  package let mailbox: Mailbox<GroupEvent>

  package init(reactor: Reactor) {
    let groups = LocalGroups(reactor: reactor)
    self.groups = groups
    self.mailbox = reactor.mailbox { groups.deliver($0.event, to: $0.group) }
  }

  /// Makes the other reactors known; before the first session is accepted.
  package func connect(to peers: [Mailbox<GroupEvent>]) {
    self.peers = peers
  }

  package var counters: LocalGroups.Counters { groups.counters }

  package func publish(_ event: Event, to group: String) {
    groups.deliver(event, to: group)
    for peer in peers {
      // A peer that takes no messages any more is stopping, and its sessions are being closed.
      _ = peer.post(GroupEvent(event, to: group))
    }
  }

  package func join(
    _ member: any GroupMember, group: String, route: ObjectIdentifier, renderer: any EventRenderer
  ) -> Membership {
    groups.join(member, group: group, route: route, renderer: renderer)
  }

  package func leave(_ membership: Membership) {
    groups.leave(membership)
  }

  package func catchUp(_ membership: Membership) -> Delivery {
    groups.catchUp(membership)
  }
}
