import Synchronization
import Transport

/// The way back to a reactor that has asked another thread for something.
///
/// The answer calls back on the reactor that waits for it. If the reply is released without an answer, because whoever was asked
/// has ended, the reactor is called back with nil.
package final class Reply<Value: Sendable>: Sendable {
  /// Shared with the callback, which must not keep the reply itself.
  fileprivate final class Answer: Sendable {
    /// Nil until it is given.
    let value = Mutex<Value??>(nil)
  }

  private let answer: Answer
  private let ticket: Int
  private let post: (@Sendable (WorkerSessions.Outcome) -> Bool)?

  fileprivate init(_ answer: Answer, ticket: Int, _ post: (@Sendable (WorkerSessions.Outcome) -> Bool)?) {
    self.answer = answer
    self.ticket = ticket
    self.post = post
  }

  deinit { bring(nil) }

  /// Only the first call counts.
  package func give(_ value: Value) { bring(value) }

  private func bring(_ value: Value?) {
    let isFirst = answer.value.withLock { given in
      guard case nil = given else { return false }
      given = .some(value)
      return true
    }
    // If the reactor has ended, nobody waits any more.
    if isFirst { _ = post?(.replied(ticket: ticket)) }
  }
}

extension WorkerSessions {
  /// Makes the reply for whoever is asked.
  ///
  /// - Parameter completed: called once, on this reactor.
  package func reply<Value: Sendable>(_ completed: @escaping (Value?) -> Void) -> Reply<Value> {
    let answer = Reply<Value>.Answer()
    let ticket = replies.issue { _ in completed(answer.value.withLock { $0 ?? nil }) }
    return Reply(answer, ticket: ticket, post)
  }

  /// Lets another thread do what takes long, or what a reactor cannot do.
  ///
  /// - Parameter completed: called once, on this reactor.
  package func offload<Value: Sendable>(
    _ work: @escaping @Sendable () async -> Value, _ completed: @escaping (Value) -> Void
  ) {
    let reply = reply { (value: Value?) in if let value { completed(value) } }
    // It always ends with the reply, which nobody may wait for any more.
    Task { reply.give(await work()) }
  }
}
