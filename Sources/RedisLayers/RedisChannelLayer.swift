import ChannelLayers
import RedisClient
import Transport

/// A reactor's end of a Redis layer: it counts the members of each group here, and delivers the events that the hub receives.
final class RedisChannelLayer: ChannelLayer {
  let groups: LocalGroups
  private let hub: RedisHub
  private let reactor: Int
  /// Wakes the hub for all events of a turn, which leave in one batch. Woken by the first one, where processors are few, it would send
  /// that one alone, and the members would be written to for each few events.
  ///
  /// `sluice bench fanout --connections 100 --window 16` with gateway and Redis on one processor: 0.4 µs of it for a delivery instead of
  /// 1.3.
  private let waking: OncePerTurn
  /// For the other reactors; nil until the mailbox is made.
  private var end: GroupEnd<RedisDelivery>?
  private var wanted: [String: Wanted] = [:]
  /// The callers that wait for the result of an event without a sending session; as many as wait in the hub.
  private var publishing = Tickets<Published>()

  /// A group with members on this reactor, or with subscribers that wait for it.
  private struct Wanted {
    var count = 0
    var isActive = false
    var waiting: [(Subscription) -> Void] = []
  }

  /// - Parameter number: the number of the reactor.
  init(reactor: Reactor, number: Int, hub: RedisHub) {
    self.hub = hub
    self.reactor = number
    waking = OncePerTurn(on: reactor) { hub.events.wake() }
    groups = LocalGroups(
      reactor: reactor,
      addresses: SessionAddresses(
        hub.identity.addressPrefix, reactor: number, cipher: hub.identity.sessions))
  }

  /// Makes the mailbox that the hub posts to. Must be called before the first session is accepted.
  func mailbox(on reactor: Reactor) -> Mailbox<RedisDelivery> {
    let mailbox = reactor.mailbox { [self] (delivery: RedisDelivery) in handle(delivery) }
    end = GroupEnd(number: self.reactor, mailbox: mailbox)
    return mailbox
  }

  func publish(_ event: Event, to group: String, from sender: Membership) {
    let outgoing = OutgoingEvent(
      event: event, group: group, sender: .session(reactor: reactor, member: sender.number))
    if let reason = publish(outgoing) { sender.member.undelivered(reason) }
  }

  func publish(_ event: Event, to group: String, completed: @escaping (Published) -> Void) {
    let ticket = publishing.issue(completed)
    let outgoing = OutgoingEvent(
      event: event, group: group, sender: .outside(reactor: reactor, ticket: ticket))
    guard let reason = publish(outgoing) else { return }
    publishing.redeem(ticket)?(Published(undelivered: reason))
  }

  private func publish(_ event: OutgoingEvent) -> Undelivered? {
    waking.ask()
    return hub.publish(event, waking: .later)
  }

  func peers(of group: String) -> [any GroupPeer] { hub.ends.ends(of: group, except: reactor) }

  func subscribe(to group: String, _ completed: @escaping (Subscription) -> Void) {
    guard hub.isAvailable(for: group) else { return completed(.unavailable) }
    var entry = wanted[group] ?? Wanted()
    entry.count += 1
    if entry.isActive {
      wanted[group] = entry
      return completed(.active)
    }
    entry.waiting.append(completed)
    wanted[group] = entry
    guard entry.count == 1 else { return }
    if let end { hub.ends.add(end, to: group) }
    hub.change(.wanted(group: group, reactor: reactor))
  }

  func resubscribe(to group: String) {
    var entry = wanted[group] ?? Wanted()
    entry.count += 1
    entry.isActive = true
    wanted[group] = entry
    guard entry.count == 1 else { return }
    if let end { hub.ends.add(end, to: group) }
    hub.change(.wanted(group: group, reactor: reactor))
  }

  func unsubscribe(from group: String) {
    guard var entry = wanted[group] else { return }
    entry.count -= 1
    guard entry.count == 0 else {
      wanted[group] = entry
      return
    }
    forget(group)
  }

  private func forget(_ group: String) {
    wanted[group] = nil
    hub.ends.remove(reactor, from: group)
    hub.change(.unwanted(group: group, reactor: reactor))
  }

  private func handle(_ delivery: RedisDelivery) {
    switch delivery {
    case .toGroup(let event, let group): groups.deliver(event, to: group)
    case .toMember(let event, let member): groups.deliver(event, to: member)
    case .undelivered(let reason, let member): groups.undelivered(reason, from: member)
    case .subscribed(let group, let outcome): subscribed(group, outcome)
    case .look(let look): look(groups)
    case .published(let outcome, let ticket): publishing.redeem(ticket)?(outcome)
    }
  }

  private func subscribed(_ group: String, _ outcome: Subscription) {
    guard var entry = wanted[group], !entry.isActive else { return }
    let waiting = entry.waiting
    switch outcome {
    case .active:
      entry.isActive = true
      entry.waiting = []
      wanted[group] = entry
    case .unavailable:
      // The waiting subscribers are notified, and their subscriptions are over.
      forget(group)
    }
    for completed in waiting { completed(outcome) }
  }
}

/// A message from the hub, or from another reactor, to a reactor.
enum RedisDelivery: GroupMail {
  case toGroup(Event, String)
  case toMember(Event, MemberNumber)
  case undelivered(Undelivered, MemberNumber)
  case subscribed(String, Subscription)
  case look(@Sendable (LocalGroups) -> Void)
  /// The result of publishing an event without a sending session.
  case published(Published, ticket: Int)
}
