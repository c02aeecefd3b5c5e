/// So many things in a time, and so many of them at once.
package struct Rate: Sendable, Hashable {
  package var count: Int
  package var period: Duration
  package var burst: Int

  package init(count: Int, period: Duration, burst: Int) {
    (self.count, self.period, self.burst) = (count, period, burst)
  }

  /// As it is written in the file.
  package var text: String {
    let unit = period == .seconds(1) ? "s" : period == .seconds(60) ? "m" : "h"
    return "\(count)/\(unit) burst \(burst)"
  }
}

/// `limits.rate`: how fast one client may send messages, and what happens to one that sends faster.
package struct MessageRate: Sendable, Hashable {
  package enum Excess: String, Sendable, CaseIterable {
    /// The client is not read for a while.
    case wait
    /// The message is answered with an error in place of what it asks for.
    case reply
    /// The session is closed with 4429.
    case close
  }

  /// Nil for any number.
  package var messages: Rate?
  package var excess = Excess.wait
}
