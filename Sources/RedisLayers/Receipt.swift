import ChannelLayers

/// Follows one event through all of its messages. Its sender is notified of a failure once.
///
/// Confined to the hub.
final class Receipt {
  /// Nil once it was notified.
  private var sender: Sender?
  /// Messages that Redis has not stored yet.
  private var waiting = 0

  init(_ sender: Sender?) {
    self.sender = sender
  }

  /// Whether the sender also waits to hear of success.
  var isAwaited: Bool {
    if case .outside = sender { true } else { false }
  }

  /// - Returns: the sender to notify of a failure; nil if it was notified already.
  func takeSender() -> Sender? {
    defer { sender = nil }
    return sender
  }

  /// Counts one more message of the event.
  func expect() {
    waiting += 1
  }

  /// Redis has stored one of the messages. Returns whether it was the last one.
  func taken() -> Bool {
    waiting -= 1
    return waiting == 0
  }
}
