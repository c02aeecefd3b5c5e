/// Splits a range of Unicode scalars into sequences of byte ranges: a scalar is in the range if, and only if, its bytes are in
/// the ranges of one of the sequences.
enum UTF8Ranges {
  static func sequences(of range: ClosedRange<UInt32>) -> [[ClosedRange<UInt8>]] {
    var result: [[ClosedRange<UInt8>]] = []
    // The ranges of each encoded length, without the surrogates, which have no encoding.
    for limits: ClosedRange<UInt32> in [
      0...0x7F, 0x80...0x7FF, 0x800...0xD7FF, 0xE000...0xFFFF, 0x10000...0x10FFFF,
    ] {
      let low = max(range.lowerBound, limits.lowerBound)
      let high = min(range.upperBound, limits.upperBound)
      if low <= high { split(low, high, into: &result) }
    }
    return result
  }

  /// Both ends have encodings of the same length.
  private static func split(_ low: UInt32, _ high: UInt32, into result: inout [[ClosedRange<UInt8>]]) {
    let length = encode(low).count
    // Cuts where the trailing bytes do not cover their whole range.
    for index in 1..<max(length, 1) {
      let mask = UInt32(1) << (6 * UInt32(index)) - 1
      guard low & ~mask != high & ~mask else { continue }
      if low & mask != 0 {
        split(low, low | mask, into: &result)
        split((low | mask) + 1, high, into: &result)
        return
      }
      if high & mask != mask {
        split(low, (high & ~mask) - 1, into: &result)
        split(high & ~mask, high, into: &result)
        return
      }
    }
    result.append(zip(encode(low), encode(high)).map { $0...$1 })
  }

  private static func encode(_ value: UInt32) -> [UInt8] {
    Unicode.Scalar(value).map { Array($0.utf8) } ?? []
  }
}
