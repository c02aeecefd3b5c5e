import Transport

/// Counts, for the subscribers of one reactor, the messages that all of them have received, and reports to the publishers at
/// the end of the turn.
final class DeliveryWindow: EndOfTurn {
  private struct Message {
    var sequence: UInt32
    /// Subscribers that have not received it yet.
    var missing: Int
  }

  private let reactor: Reactor
  private var members: Int
  /// For each publisher its latest messages, by sequence number.
  private var messages: [[Message]]
  /// For each publisher, how many messages all subscribers here have received.
  private var completed: [Int]
  private let report: ([Int]) -> Void
  private var isReporting = false

  /// No message has this number.
  private static let none = UInt32.max

  /// - Parameter report: called with the completed messages by publisher; called once before anything is published.
  init(
    members: Int, publishers: Int, size: Int, on reactor: Reactor, _ report: @escaping ([Int]) -> Void
  ) {
    self.members = members
    self.reactor = reactor
    self.report = report
    var capacity = 1
    while capacity < size { capacity *= 2 }
    messages = Array(
      repeating: Array(repeating: Message(sequence: Self.none, missing: 0), count: capacity),
      count: publishers)
    completed = Array(repeating: 0, count: publishers)
    if members > 0 { report(completed) }
  }

  /// A subscriber has received a message. Earlier messages that it has not received are not waited for any more, because a lost
  /// message would otherwise keep its place forever.
  ///
  /// - Parameter next: the number that was expected.
  func delivered(_ sequence: UInt32, of publisher: Int, next: UInt32) {
    let places = UInt32(messages[publisher].count)
    // Messages further back have no place any more.
    for number in max(next, sequence - min(sequence, places - 1))...sequence { settle(number, of: publisher) }
  }

  private func settle(_ sequence: UInt32, of publisher: Int) {
    let place = Int(sequence) & (messages[publisher].count - 1)
    let known = messages[publisher][place]
    if known.sequence != sequence {
      // A later message has taken its place.
      guard known.sequence == Self.none || known.sequence < sequence else { return }
      if known.missing > 0 { complete(publisher) }
      messages[publisher][place] = Message(sequence: sequence, missing: members)
    }
    messages[publisher][place].missing -= 1
    if messages[publisher][place].missing == 0 { complete(publisher) }
  }

  /// A subscriber has left, and its missing messages are not waited for any more.
  ///
  /// - Parameter orders: what it has received.
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
