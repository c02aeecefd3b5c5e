import ChannelLayers
import Consumers
import Transport

// A client that hears and cannot send. It costs sessions that are not muted nothing: a muted one is looked at like one whose messages may
// be for the gateway.

extension Session {
  /// Only what goes to a group can be kept from the others. An upstream decides itself about its clients.
  var takesMute: Bool { membership != nil }

  func mute(until end: MonotonicTime) {
    feed.makeExtras().mutedAlone = end
    judgeMute()
  }

  /// Adapts to the orders that hold for the client, which is in its groups now: it is muted until the last of them ends.
  func judgeMute() {
    let own = feed.extras?.mutedAlone.flatMap { $0 > .now ? $0 : nil }
    let end = [own, endOfStandingMute].compactMap(\.self).max()
    guard end != nil || feed.extras?.mutedUntil != nil else { return }
    let extras = feed.makeExtras()
    extras.mutedUntil = end
    extras.mutedAlone = own
    judgeControls()
  }

  private var endOfStandingMute: MonotonicTime? {
    guard let membership else { return nil }
    let order = orders.order(.mute, for: identity?.user, in: [membership.group])
    return order.map { .now + .seconds(max(0, $0.until - WallClock.secondsSinceEpoch)) }
  }

  /// Answers a message that the client may not send.
  ///
  /// - Returns: whether it may not.
  func refuseMuted() -> Bool {
    guard var end = feed.extras?.mutedUntil else { return false }
    if end <= worker.reactor.now {
      // Another order may hold longer.
      judgeMute()
      guard let next = feed.extras?.mutedUntil else { return false }
      end = next
    }
    let left = max(.zero, end.since(worker.reactor.now))
    tell("error", "you cannot send here for another \(Int(left / .seconds(1)) + 1)s")
    return true
  }
}
