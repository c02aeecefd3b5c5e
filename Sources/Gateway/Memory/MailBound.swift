import Logging
import Synchronization
import Transport

/// The bound on what waits for reactors in their mailboxes: events on their way from channel layers, other reactors and publishing
/// requests to sessions. A part of `limits.send_memory`, of which it is taken once, for all reactors.
final class MailBound: Sendable {
  /// The part of `limits.send_memory`.
  private static let part = 8
  /// For one reactor. Bytes.
  private static let most = 64 << 20

  /// For each reactor. Bytes.
  let bytes: Int
  /// Events since the start that a reactor had no room for.
  let refusals = Atomic<Int>(0)
  private let log: Logger
  private let pace = SharedLogPace(most: 1)

  init(of sending: MemoryBudget, among threads: Int, log: Logger) {
    bytes = min(Self.most, sending.total / Self.part / threads)
    self.log = log
    // The whole of it was there a moment ago.
    _ = sending.take(bytes * threads)
  }

  /// Events did not reach a reactor; whoever sent them has been told.
  func refused(_ count: Int = 1) {
    refusals.add(count, ordering: .relaxed)
    guard let suppressed = pace.next() else { return }
    var facts: Logger.Metadata = ["key": "limits.send_memory", "bytes": "\(bytes)"]
    if suppressed > 0 { facts["suppressed"] = "\(suppressed)" }
    log.warning(
      "an event was refused: too much waits for a reactor, which delivers more slowly than events come",
      metadata: facts)
  }
}
