import Synchronization

/// Counts for one layer.
final class RedisCounters: Sendable {
  /// Events from Redis for a group or a session of this process.
  let received = Atomic<Int>(0)
  /// Events of sessions that were sent.
  let sent = Atomic<Int>(0)
  /// Events that were not sent; their senders were notified.
  let undelivered = Atomic<Int>(0)
  /// Events that may have been lost with a connection; their senders were notified.
  let unconfirmed = Atomic<Int>(0)
  /// Messages that were not put into a queue because it stayed full; their senders were notified.
  let overCapacity = Atomic<Int>(0)
  /// Messages from Redis that could not be read.
  let unreadable = Atomic<Int>(0)
  /// Messages for channels that do not belong to this process any more.
  let unknownReceivers = Atomic<Int>(0)
}
