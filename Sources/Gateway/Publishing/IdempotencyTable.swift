import Bytes
import DequeModule
import JSON
import Sessions
import Synchronization
import Transport

/// The answers to requests with an idempotency key, so that a repeated request gets the same answer and does nothing.
///
/// One for each process. Bounded in time, number and bytes; beyond that the oldest answers are forgotten first.
final class IdempotencyTable: Sendable {
  struct Key: Sendable, Hashable {
    /// Its name.
    let route: String
    /// The user of the key, if requests are made in the names of users.
    let user: ExactText?
    let text: ExactText

    init(route: String, user: String?, text: String) {
      self.route = route
      self.user = user.map(ExactText.init(text:))
      self.text = ExactText(text: text)
    }
  }

  struct Answer: Sendable, Equatable {
    var status: Int
    var body: [UInt8]
  }

  /// The state of a key.
  enum KeyState: Sendable, Equatable {
    /// The key is new. The caller has to `complete` it.
    case new
    case answered(Answer)
    /// The first request is under way. Its answer goes to the caller's reply.
    case underWay
    /// The key was used for another request.
    case taken
    /// The key is new, and stays so: what it stands for may be done after so many seconds.
    case tooFast(retryAfter: Int)
  }

  private struct Entry {
    let digest: [UInt8]
    var answer: Answer?
    var waiting: [Reply<Answer>] = []
  }

  private struct Table {
    var entries: [Key: Entry] = [:]
    /// The answered keys, the oldest first.
    var answered: Deque<(key: Key, since: ContinuousClock.Instant, size: Int)> = []
    var bytes = 0
  }

  static let lifetime = Duration.seconds(300)
  private static let mostAnswers = 10_000
  private static let mostBytes = 16 << 20

  private let state = Mutex(Table())

  /// - Parameters:
  ///   - digest: the digest of the request's body.
  ///   - retryAfter: asked only if the key is new, because a repeated request does nothing that could be too much. It must not ask this
  ///     table.
  ///   - reply: asked for only if the first request is under way.
  func register(
    _ key: Key, _ digest: [UInt8], at now: ContinuousClock.Instant = .now,
    retryAfter: () -> Int? = { nil }, waiting reply: @autoclosure () -> Reply<Answer>
  ) -> KeyState {
    state.withLock { state in
      Self.forget(&state, at: now)
      guard let entry = state.entries[key] else {
        if let seconds = retryAfter() { return .tooFast(retryAfter: seconds) }
        state.entries[key] = Entry(digest: digest)
        return .new
      }
      guard entry.digest == digest else { return .taken }
      if let answer = entry.answer { return .answered(answer) }
      state.entries[key]?.waiting.append(reply())
      return .underWay
    }
  }

  /// The first request has been answered.
  ///
  /// - Parameter isFinal: false if nothing was done, so that the next request with the key has to try again.
  func complete(_ key: Key, _ answer: Answer, isFinal: Bool, at now: ContinuousClock.Instant = .now) {
    let completed = state.withLock { state in
      let entry = state.entries.removeValue(forKey: key)
      guard isFinal, let entry else { return entry }
      state.entries[key] = Entry(digest: entry.digest, answer: answer)
      let size = answer.body.count + key.text.text.utf8.count + (key.user?.text.utf8.count ?? 0) + 200
      state.answered.append((key, now, size))
      state.bytes += size
      Self.forget(&state, at: now)
      return entry
    }
    for reply in completed?.waiting ?? [] { reply.give(answer) }
  }

  /// All answers that are kept, the oldest first.
  func states(at now: ContinuousClock.Instant = .now) -> [State] {
    state.withLock { table in
      table.answered.compactMap { key, since, _ in
        guard let entry = table.entries[key], let answer = entry.answer else { return nil }
        return State(key, entry.digest, answer, age: (now - since).wholeNanoseconds)
      }
    }
  }

  /// Takes over the answers of another process, before the first request.
  func resume(_ states: [State], at now: ContinuousClock.Instant = .now) {
    for known in states {
      let time = now - .nanoseconds(Int64(known.age))
      state.withLock { $0.entries[known.key] = Entry(digest: known.digest) }
      complete(known.key, known.answer, isFinal: true, at: time)
    }
  }

  private static func forget(_ state: inout Table, at now: ContinuousClock.Instant) {
    while let oldest = state.answered.first,
      now - oldest.since > lifetime || state.bytes > mostBytes || state.answered.count > mostAnswers
    {
      state.answered.removeFirst()
      state.entries[oldest.key] = nil
      state.bytes -= oldest.size
    }
  }
}
