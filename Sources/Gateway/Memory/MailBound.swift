import Logging
import Sessions
import Synchronization
import Transport

/// The bound on the messages in the mailboxes of reactors: events from channel layers, other reactors and publish requests for
/// sessions. It is a part of `limits.send_memory`, taken once for all reactors.
final class MailBound: Sendable {
  /// The divisor of `limits.send_memory`.
  private static let part = 8
  /// The most for one reactor. Bytes.
  private static let most = 64 << 20

  /// The bound for each reactor. Bytes.
  let bytes: Int
  /// Events since the start that a reactor had no room for.
  let refusals = Atomic<Int>(0)
  private let log: Logger
  private let pace = SharedLogPace(most: 1)

  init(of sending: MemoryBudget, among threads: Int, log: Logger) {
    bytes = min(Self.most, sending.total / Self.part / threads)
    self.log = log
    // The whole memory was available a moment ago.
    _ = sending.take(bytes * threads)
  }

  /// Counts events that did not reach a reactor. Their senders have been notified.
  func refused(_ count: Int = 1) {
    refusals.add(count, ordering: .relaxed)
    log.log(
      "an event was refused: a reactor delivers more slowly than events arrive, and its queue is full",
      at: .warning, paced: pace, ["key": "limits.send_memory", "bytes": "\(bytes)"])
  }
}
