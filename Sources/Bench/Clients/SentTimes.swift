/// When the messages of one connection that are not answered yet were sent, or were due: nanoseconds, by sequence number.
struct SentTimes {
  private var ring: [UInt64]
  /// The number of the oldest one that is not answered.
  private(set) var first: UInt32 = 0
  /// The number of the next one.
  private(set) var next: UInt32 = 0

  /// - Parameter capacity: how many there may be before more memory is needed.
  init(capacity: Int = 1) {
    // A power of two, so that sequence numbers may wrap around.
    var size = 1
    while size < capacity { size *= 2 }
    ring = Array(repeating: 0, count: size)
  }

  var count: Int { Int(next &- first) }

  subscript(number: UInt32) -> UInt64 { ring[Int(number) & (ring.count - 1)] }

  mutating func append(_ time: UInt64) {
    if count == ring.count { grow() }
    ring[Int(next) & (ring.count - 1)] = time
    next &+= 1
  }

  /// The oldest one is answered.
  mutating func removeFirst() -> UInt64 {
    defer { first &+= 1 }
    return self[first]
  }

  private mutating func grow() {
    var larger = SentTimes(capacity: 2 * ring.count)
    (larger.first, larger.next) = (first, first)
    for offset in 0..<UInt32(count) { larger.append(self[first &+ offset]) }
    self = larger
  }
}
