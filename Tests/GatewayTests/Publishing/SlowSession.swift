import ChannelLayers
import Consumers
import JSON
import LayerTestSupport
import Transport

@testable import Sessions

/// A session for orders, which takes 0.1 ms of its reactor to look at.
final class SlowSession: OrderedSession {
  /// The turns of the reactor in which it was looked at, and carried out an order.
  private(set) var (looked, told): ([UInt64], [UInt64]) = ([], [])
  let identity: Identity?
  var isOpen = true
  /// Whether it takes orders.
  var isWilling = true
  /// Those that it is in.
  var groups: Set<String> = []

  private let reactor: Reactor

  init(of user: String? = nil, on reactor: Reactor) {
    identity = user.map { Identity(user: $0, claims: .object([])) }
    self.reactor = reactor
  }

  func isMember(of group: String, in groups: LocalGroups) -> Bool { self.groups.contains(group) }

  func allows(_ action: SessionAction, in groups: LocalGroups) -> Bool {
    let end = MonotonicTime.now + .microseconds(100)
    while MonotonicTime.now < end {}
    looked.append(reactor.counters.turns)
    return isWilling
  }

  func carryOut(_ action: SessionAction, of layer: any ChannelLayer) { told.append(reactor.counters.turns) }

  let routeName = "a route"
  let takesMute = true
  func mute(until end: MonotonicTime) {}
  func judgeMute() {}
  func close(_ reason: CloseReason) {}
  func close(code: UInt16, reason: String) {}
  func deliver(_ frames: SharedBytes, from offset: Int) -> Delivery { .delivered }
  func fellBehind() {}
  func undelivered(_ reason: Undelivered) {}
}

extension PublishScene {
  /// Sessions that are in a group on a worker's reactor.
  func sessions(_ count: Int, of user: String? = nil, in group: String = "room", on worker: Int)
    -> [SlowSession]
  {
    end(worker).subscribe(to: group) { _ in }
    return (0..<count).map { _ in
      let session = SlowSession(of: user, on: workers[worker].reactor)
      session.groups = [group]
      workers[worker].identities.add(session)
      _ = end(worker).groups.join(
        session, group: group, route: ObjectIdentifier(TypeRenderer.self), renderer: TypeRenderer(end: " "))
      return session
    }
  }

  /// Lets the time pass in small steps, at most ten seconds, until something has happened.
  func pass(until hasHappened: () -> Bool) {
    for _ in 0..<1000 where !hasHappened() { pass(.milliseconds(10)) }
  }
}
