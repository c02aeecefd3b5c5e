import Transport

/// Counts, for the subscribers of one reactor, which messages all of them have, and tells the publishers at the end of the
/// turn.
final class DeliveryWindow: EndOfTurn {
  private struct Message {
    var sequence: UInt32
    /// Subscribers that do not have it yet.
    var missing: Int
  }

  private let reactor: Reactor
  private var members: Int
  /// For each publisher its latest messages, by sequence number.
  private var messages: [[Message]]
  /// For each publisher, how many messages all subscribers here have.
  private var completed: [Int]
  private let report: ([Int]) -> Void
  private var isReporting = false

  /// - Parameter report: gets what is completed, by publisher; called once before anything is published.
  init(
    members: Int, publishers: Int, size: Int, on reactor: Reactor, _ report: @escaping ([Int]) -> Void
  ) {
    self.members = members
    self.reactor = reactor
    self.report = report
    var capacity = 1
    while capacity < size { capacity *= 2 }
    messages = Array(
      repeating: Array(repeating: Message(sequence: .max, missing: 0), count: capacity), count: publishers)
    completed = Array(repeating: 0, count: publishers)
    if members > 0 { report(completed) }
  }

  func delivered(_ sequence: UInt32, of publisher: Int) {
    let place = Int(sequence) & (messages[publisher].count - 1)
    if messages[publisher][place].sequence != sequence {
      messages[publisher][place] = Message(sequence: sequence, missing: members)
    }
    messages[publisher][place].missing -= 1
    if messages[publisher][place].missing == 0 { complete(publisher) }
  }

  /// A subscriber is gone, and nobody waits for it any more.
  ///
  /// - Parameter orders: what it has got.
  func left(_ orders: [OrderCheck]) {
    members -= 1
    for publisher in messages.indices {
      for place in messages[publisher].indices {
        let message = messages[publisher][place]
        guard message.missing > 0, message.sequence >= orders[publisher].next else { continue }
        messages[publisher][place].missing -= 1
        if message.missing == 1 { complete(publisher) }
      }
    }
  }

  private func complete(_ publisher: Int) {
    completed[publisher] += 1
    guard !isReporting else { return }
    isReporting = true
    reactor.atEndOfTurn(self)
  }

  func endOfTurn() {
    isReporting = false
    report(completed)
  }
}
