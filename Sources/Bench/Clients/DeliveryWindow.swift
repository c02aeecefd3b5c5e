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

  /// No message has this number.
  private static let none = UInt32.max

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
      repeating: Array(repeating: Message(sequence: Self.none, missing: 0), count: capacity),
      count: publishers)
    completed = Array(repeating: 0, count: publishers)
    if members > 0 { report(completed) }
  }

  /// A subscriber has got a message, and so waits no more for those before it that it has not got: what is lost would
  /// otherwise keep its place for ever.
  ///
  /// - Parameter next: the number that would have been the next one.
  func delivered(_ sequence: UInt32, of publisher: Int, next: UInt32) {
    let places = UInt32(messages[publisher].count)
    // Those that are further back have no place any more.
    for number in max(next, sequence - min(sequence, places - 1))...sequence { settle(number, of: publisher) }
  }

  private func settle(_ sequence: UInt32, of publisher: Int) {
    let place = Int(sequence) & (messages[publisher].count - 1)
    let known = messages[publisher][place]
    if known.sequence != sequence {
      // It has lost its place to a later one.
      guard known.sequence == Self.none || known.sequence < sequence else { return }
      if known.missing > 0 { complete(publisher) }
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
