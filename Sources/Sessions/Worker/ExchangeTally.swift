package import GatewayConfig
import Synchronization
import Transport

/// What has become, or would become, of the clients of all workers: counted by what they had, and what they have now.
package struct ExchangeCounts: Sendable, Equatable {
  package var outcomes: [ClientOutcome: Int] = [:]
  /// Handshakes that wait for a view, an upstream, or an answer about who the client is. They are judged once that is there.
  package var arriving = 0
  /// The longest time for which a reactor was kept by it at once.
  package var longestTurn = Duration.zero

  package init() {}

  mutating func add(_ outcome: ClientOutcome?) {
    if let outcome { outcomes[outcome, default: 0] += 1 }
  }

  mutating func add(_ other: ExchangeCounts) {
    outcomes.merge(other.outcomes, uniquingKeysWith: +)
    arriving += other.arriving
    longestTurn = max(longestTurn, other.longestTurn)
  }

  package func count(where isMeant: (ClientVerdict) -> Bool) -> Int {
    outcomes.reduce(0) { $0 + (isMeant($1.key.verdict) ? $1.value : 0) }
  }

  package var stayed: Int { count { $0 == .stays } }
  package var changed: Int { count { if case .changes = $0 { true } else { false } } }

  /// By close code.
  package var closed: [UInt16: Int] {
    outcomes.reduce(into: [:]) { codes, entry in
      if case .closes(let end) = entry.key.verdict { codes[end.code, default: 0] += entry.value }
    }
  }
}

/// Collects the counts of all workers. The last one that holds it tells the result.
package final class ExchangeTally: Sendable {
  private let counts = Mutex(ExchangeCounts())
  private let completed: @Sendable (ExchangeCounts) -> Void

  package init(_ completed: @escaping @Sendable (ExchangeCounts) -> Void) {
    self.completed = completed
  }

  deinit {
    completed(counts.withLock(\.self))
  }

  func add(_ part: ExchangeCounts) {
    counts.withLock { $0.add(part) }
  }
}
