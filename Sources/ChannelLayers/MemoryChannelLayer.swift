package import Transport

/// The layer of one process: an event goes to this reactor's groups at once, and to each other reactor that has subscribers of
/// the group with one message.
///
/// Django: `channels.layers.InMemoryChannelLayer`, but no events are kept for absent receivers.
package final class MemoryChannelLayer: ChannelLayer {
  package let groups: LocalGroups
  private let hub: MemoryHub
  private let end: GroupEnd<MemoryHub.Mail>
  /// Subscriptions on this reactor, by group.
  private var subscriptions: [String: Int] = [:]

  /// - Parameter number: the number of the reactor, for the addresses of its sessions; different for each reactor of the hub.
  package init(reactor: Reactor, number: Int, hub: MemoryHub) {
    let groups = LocalGroups(
      reactor: reactor,
      addresses: SessionAddresses("specific.inmemory!", reactor: number, cipher: hub.cipher))
    self.groups = groups
    self.hub = hub
    let mailbox = reactor.mailbox { (mail: MemoryHub.Mail) in
      switch mail {
      case .event(let event): groups.deliver(event.event, to: event.group)
      case .look(let look): look(groups)
      }
    }
    end = GroupEnd(number: number, mailbox: mailbox)
  }

  package func publish(_ event: Event, to group: String, from sender: Membership) {
    if let reason = publish(event, to: group) { sender.member.undelivered(reason) }
  }

  package func publish(_ event: Event, to group: String, completed: @escaping (Published) -> Void) {
    completed(Published(undelivered: publish(event, to: group)))
  }

  /// - Returns: why the event did not reach everybody; nil if it did.
  private func publish(_ event: Event, to group: String) -> Undelivered? {
    groups.deliver(event, to: group)
    var reachesAll = true
    let others = hub.ends.ends(of: group, except: end.number)
    guard !others.isEmpty else { return nil }
    let (posted, weight) = (GroupEvent(event, to: group), event.size)
    for peer in others where !peer.post(posted, weight: weight) { reachesAll = false }
    if !reachesAll { hub.refused() }
    return reachesAll ? nil : .full
  }

  package func peers(of group: String) -> [any GroupPeer] { hub.ends.ends(of: group, except: end.number) }

  package func subscribe(to group: String, _ completed: @escaping (Subscription) -> Void) {
    subscriptions[group, default: 0] += 1
    if subscriptions[group] == 1 { hub.ends.add(end, to: group) }
    completed(.active)
  }

  package func unsubscribe(from group: String) {
    guard let count = subscriptions[group] else { return }
    subscriptions[group] = count > 1 ? count - 1 : nil
    if count == 1 { hub.ends.remove(end.number, from: group) }
  }
}
