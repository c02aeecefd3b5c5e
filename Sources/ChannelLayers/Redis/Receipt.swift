/// What becomes of one event, however many messages it is made into: its sender is told of a failure once.
///
/// Confined to the hub.
final class Receipt {
  private let sender: Sender?
  private var isTold = false
  /// Messages that Redis has not taken yet.
  private var waiting = 0

  init(_ sender: Sender?) {
    self.sender = sender
  }

  /// Whether somebody waits to be told also that everything went well.
  var isAwaited: Bool {
    if case .outside = sender { true } else { false }
  }

  /// - Returns: whom to tell of a failure; nil where it was done already.
  func takeSender() -> Sender? {
    defer { isTold = true }
    return isTold ? nil : sender
  }

  /// One more message is made of the event.
  func expect() {
    waiting += 1
  }

  /// Redis has taken one of the messages.
  ///
  /// - Returns: whether it was the last one.
  func taken() -> Bool {
    waiting -= 1
    return waiting == 0
  }
}
