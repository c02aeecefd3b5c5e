/// What one reactor has counted.
package struct Tally: Sendable {
  // In the measured time only.

  /// Messages that came back, deliveries, or hand-shakes.
  package var operations: UInt64 = 0
  package var bytes: UInt64 = 0
  package var published: UInt64 = 0
  package var latencies = Latencies()

  // From the first message to the last.

  package var publishedInAll: UInt64 = 0
  /// Messages that subscribers got, each once.
  package var delivered: UInt64 = 0
  package var duplicated: UInt64 = 0
  package var late: UInt64 = 0
  /// Not the message that had to come.
  package var wrong: UInt64 = 0
  package var failed: UInt64 = 0
  /// Connections that ended without being asked to.
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
