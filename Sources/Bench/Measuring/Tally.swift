/// The counts of one reactor.
package struct Tally: Sendable {
  // Counted in the measured time only.

  /// Messages that came back, deliveries, or handshakes.
  package var operations: UInt64 = 0
  package var bytes: UInt64 = 0
  package var published: UInt64 = 0
  package var latencies = Latencies()

  // Counted from the first message to the last.

  package var publishedInAll: UInt64 = 0
  /// Messages that subscribers received, each counted once.
  package var delivered: UInt64 = 0
  package var duplicated: UInt64 = 0
  package var late: UInt64 = 0
  /// Messages that were not expected.
  package var wrong: UInt64 = 0
  package var failed: UInt64 = 0
  /// Connections that ended unexpectedly.
  package var lost: UInt64 = 0

  /// Begins the measured time.
  mutating func beginMeasuring() {
    operations = 0
    bytes = 0
    published = 0
    latencies = Latencies()
  }

  mutating func add(_ other: Tally) {
    operations += other.operations
    bytes += other.bytes
    published += other.published
    latencies.add(other.latencies)
    publishedInAll += other.publishedInAll
    delivered += other.delivered
    duplicated += other.duplicated
    late += other.late
    wrong += other.wrong
    failed += other.failed
    lost += other.lost
  }
}
