/// What becomes of one event, however many messages it is made into: its sender is told of a failure once.
///
/// Confined to the hub.
final class Receipt {
  private let sender: Sender?
  private var isTold = false

  init(_ sender: Sender?) {
    self.sender = sender
  }

  /// - Returns: whom to tell of a failure; nil where it was done already.
  func takeSender() -> Sender? {
    defer { isTold = true }
    return isTold ? nil : sender
  }
}
