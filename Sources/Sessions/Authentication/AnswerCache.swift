import Synchronization
import Transport

/// Remembers what a view has answered, for a short time. What lets in and what refuses is kept apart, so that strangers with made-up
/// tokens push nobody's answer out. Both are bounded in their number and in their memory.
final class AnswerCache: Sendable {
  private let tables: Mutex<Tables>

  private struct Tables {
    var accepted: Table
    var refused: Table
  }

  /// - Parameters:
  ///   - accepted: how long an answer that lets in is kept; zero for not at all.
  ///   - refused: the same for a refusal.
  init(accepted: Duration, refused: Duration) {
    tables = Mutex(
      Tables(
        accepted: Table(lifetime: accepted, mostBytes: 8 << 20),
        refused: Table(lifetime: refused, mostBytes: 1 << 20)))
  }

  func verdict(for key: Question.Key, at now: MonotonicTime = .now) -> Verdict? {
    tables.withLock { $0.accepted.verdict(for: key, at: now) ?? $0.refused.verdict(for: key, at: now) }
  }

  /// Keeps an answer that was not a failure, in place of one that is kept for the same question.
  ///
  /// - Parameter bytes: of the answer's body.
  func keep(_ verdict: Verdict, bytes: Int, for key: Question.Key, at now: MonotonicTime = .now) {
    tables.withLock { tables in
      switch verdict {
      case .accepted:
        tables.refused.remove(key)
        tables.accepted.keep(verdict, bytes: bytes, for: key, at: now)
      case .refused(let refusal) where refusal.answer.answerStatus != 429:
        tables.accepted.remove(key)
        tables.refused.keep(verdict, bytes: bytes, for: key, at: now)
      case .refused, .unavailable: break
      }
    }
  }

  private struct Table {
    struct Entry {
      var verdict: Verdict
      var until: MonotonicTime
      var cost: Int
    }

    let lifetime: Duration
    let mostBytes: Int
    private var entries: [Question.Key: Entry] = [:]
    /// Of all entries. Bytes.
    private var cost = 0

    private static let mostEntries = 4096

    init(lifetime: Duration, mostBytes: Int) {
      self.lifetime = lifetime
      self.mostBytes = mostBytes
    }

    func verdict(for key: Question.Key, at now: MonotonicTime) -> Verdict? {
      guard let entry = entries[key], now < entry.until, !entry.verdict.hasExpired else { return nil }
      return entry.verdict
    }

    mutating func remove(_ key: Question.Key) {
      if let entry = entries.removeValue(forKey: key) { cost -= entry.cost }
    }

    /// When the table is full, entries that are over are removed first, then all.
    mutating func keep(_ verdict: Verdict, bytes: Int, for key: Question.Key, at now: MonotonicTime) {
      guard lifetime > .zero else { return }
      remove(key)
      // A value of JSON takes two bytes of text, and some fifty in memory.
      let new = 256 + 25 * bytes
      if isFull(with: new) {
        entries = entries.filter { now < $0.value.until }
        cost = entries.values.reduce(0) { $0 + $1.cost }
      }
      if isFull(with: new) {
        entries = [:]
        cost = 0
      }
      entries[key] = Entry(verdict: verdict, until: now + lifetime, cost: new)
      cost += new
    }

    private func isFull(with new: Int) -> Bool { entries.count >= Self.mostEntries || cost + new > mostBytes }
  }
}
