import ChannelLayers
import Consumers
import Transport

// A client that hears and cannot send. It costs sessions that are not muted nothing: a muted one is looked at like one whose messages may
// be for the gateway.

extension Session {
  /// Only what goes to a group can be kept from the others. An upstream decides itself about its clients.
  var takesMute: Bool { membership != nil }

  /// - Parameter end: nil lets the client send again.
  func mute(until end: MonotonicTime?) {
    guard end != nil || feed.extras?.mutedUntil != nil else { return }
    feed.makeExtras().mutedUntil = end
    judgeControls()
  }

  /// Takes over the orders that hold for the client, which is in its groups now.
  func takeStandingOrders() {
    guard let membership,
      let order = worker.process.orders.order(.mute, for: identity?.user, in: [membership.group])
    else { return }
    mute(until: .now + .seconds(max(0, order.until - WallClock.secondsSinceEpoch)))
  }

  /// Answers a message that the client may not send.
  ///
  /// - Returns: whether it may not.
  func refuseMuted() -> Bool {
    guard let end = feed.extras?.mutedUntil else { return false }
    let left = end.since(worker.reactor.now)
    guard left > .zero else {
      mute(until: nil)
      return false
    }
    tell("error", "you cannot send here for another \(Int(left / .seconds(1)) + 1)s")
    return true
  }
}
