import Bytes
import JSON
import Synchronization

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
  enum KeyState: Sendable {
    /// The key is new. The caller has to `complete` it, and its answer arrives here as well.
    case new(AsyncStream<Answer>)
    case answered(Answer)
    /// The first request is under way. Its answer arrives here.
    case underWay(AsyncStream<Answer>)
    /// The key was used for another request.
    case taken
  }

  private struct Entry {
    let digest: [UInt8]
    var answer: Answer?
    var waiting: [AsyncStream<Answer>.Continuation] = []
  }

  private struct State {
    var entries: [Key: Entry] = [:]
    /// The answered keys, the oldest first.
    var answered: [(key: Key, since: ContinuousClock.Instant, size: Int)] = []
    var bytes = 0
  }

  static let lifetime = Duration.seconds(300)
  private static let mostAnswers = 10_000
  private static let mostBytes = 16 << 20

  private let state = Mutex(State())

  /// - Parameter digest: the digest of the request's body.
  func register(_ key: Key, _ digest: [UInt8], at now: ContinuousClock.Instant = .now) -> KeyState {
    state.withLock { state in
      Self.forget(&state, at: now)
      let entry = state.entries[key]
      if let entry, entry.digest != digest { return .taken }
      if let answer = entry?.answer { return .answered(answer) }
      let (answers, continuation) = AsyncStream.makeStream(of: Answer.self)
      state.entries[key, default: Entry(digest: digest)].waiting.append(continuation)
      return entry == nil ? .new(answers) : .underWay(answers)
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
    for continuation in completed?.waiting ?? [] {
      continuation.yield(answer)
      continuation.finish()
    }
  }

  private static func forget(_ state: inout State, at now: ContinuousClock.Instant) {
    var count = 0
    while count < state.answered.count,
      now - state.answered[count].since > lifetime || state.bytes > mostBytes
        || state.answered.count - count > mostAnswers
    {
      state.entries[state.answered[count].key] = nil
      state.bytes -= state.answered[count].size
      count += 1
    }
    if count > 0 { state.answered.removeFirst(count) }
  }
}
