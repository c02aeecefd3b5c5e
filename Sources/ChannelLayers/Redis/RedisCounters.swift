package import Synchronization

/// What happened so far in one layer.
package final class RedisCounters: Sendable {
  /// Events from Redis that were for a group or a session of ours.
  package let received = Atomic<Int>(0)
  /// Events that sessions sent and that went on their way.
  package let sent = Atomic<Int>(0)
  /// Events that were not sent; their senders were told.
  package let undelivered = Atomic<Int>(0)
  /// Events that may have got lost with a connection; their senders were told.
  package let unconfirmed = Atomic<Int>(0)
  /// Messages not put into a queue because it stayed full; their senders were told.
  package let overCapacity = Atomic<Int>(0)
  /// Messages from Redis that could not be read.
  package let unreadable = Atomic<Int>(0)
  /// Messages for channels that are not ours any more.
  package let strangers = Atomic<Int>(0)
}
