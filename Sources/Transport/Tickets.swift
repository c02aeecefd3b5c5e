/// The callbacks of one reactor that wait for answers from elsewhere. A question carries a ticket, and its answer names the same one.
package struct Tickets<Answer> {
  private var waiting: [Int: (Answer) -> Void] = [:]
  private var last = 0

  package init() {}

  /// - Parameter completed: called at most once, by whoever redeems the ticket.
  /// - Returns: the ticket, which is never issued again.
  package mutating func issue(_ completed: @escaping (Answer) -> Void) -> Int {
    last += 1
    waiting[last] = completed
    return last
  }

  /// - Returns: the callback; nil where the ticket was redeemed or forgotten before. The caller calls it, because it may ask again.
  package mutating func redeem(_ ticket: Int) -> ((Answer) -> Void)? {
    waiting.removeValue(forKey: ticket)
  }

  /// The answer is not needed any more.
  package mutating func forget(_ ticket: Int) {
    waiting[ticket] = nil
  }
}
