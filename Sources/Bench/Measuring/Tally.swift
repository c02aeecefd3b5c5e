/// The counts of one reactor.
package struct Tally: Sendable {
  // Counted in the measured time only.

  /// What a load counts.
  package struct Count: Sendable {
    package var operations: UInt64 = 0
    package var bytes: UInt64 = 0
    package var latencies = Latencies()

    mutating func record(bytes: Int, nanoseconds: UInt64) {
      operations += 1
      self.bytes += UInt64(bytes)
      latencies.record(nanoseconds)
    }

    mutating func add(_ other: Count) {
      operations += other.operations
      bytes += other.bytes
      latencies.add(other.latencies)
    }
  }

  /// Messages that came back, deliveries, handshakes, or requests.
  package var main = Count()
  /// Deliveries of what requests have published; nothing for other loads.
  package var deliveries = Count()
  package var published: UInt64 = 0

  // Counted from the first message to the last.

  package var publishedInAll: UInt64 = 0
  /// Messages that subscribers received, each counted once.
  package var delivered: UInt64 = 0
  package var duplicated: UInt64 = 0
  package var late: UInt64 = 0
  /// Messages that were not expected.
  package var wrong: UInt64 = 0
  /// Requests that were refused, by status.
  package var refused: [Int: UInt64] = [:]
  package var failed: UInt64 = 0
  /// Connections that ended unexpectedly.
  package var lost: UInt64 = 0
  /// Connections in place of others that the server had ended as it may.
  package var reopened: UInt64 = 0

  /// Begins the measured time.
  mutating func beginMeasuring() {
    main = Count()
    deliveries = Count()
    published = 0
  }

  mutating func add(_ other: Tally) {
    main.add(other.main)
    deliveries.add(other.deliveries)
    published += other.published
    publishedInAll += other.publishedInAll
    delivered += other.delivered
    duplicated += other.duplicated
    late += other.late
    wrong += other.wrong
    refused.merge(other.refused, uniquingKeysWith: +)
    failed += other.failed
    lost += other.lost
    reopened += other.reopened
  }
}
