import Transport

/// Times for scores: the wall clock, but never the same twice (channels_redis orders a queue by them).
struct MessageClock {
  private var last = 0.0

  /// Seconds since 1970.
  mutating func next() -> Double {
    // A microsecond is about four steps of a double of this size.
    last = max(Self.now(), last + 0.000_001)
    return last
  }

  static func now() -> Double { WallClock.secondsSinceEpoch }

  private var count = UInt64.random(in: 0...(.max >> 1))

  /// Bytes that make a message unique: a counter, which keeps the order of equal scores, and then random bytes.
  mutating func uniquePrefix(_ length: Int) -> [UInt8] {
    count += 1
    let counter = (0..<8).map { UInt8(truncatingIfNeeded: count >> (56 - 8 * UInt64($0))) }
    guard length > 8 else { return Array(counter.suffix(length)) }
    return counter + (8..<length).map { _ in UInt8.random(in: 0...255) }
  }
}
