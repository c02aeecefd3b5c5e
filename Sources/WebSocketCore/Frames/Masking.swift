/// The masking of payloads by clients (RFC 6455 section 5.3). Masking twice restores the payload.
enum Masking {
  /// Masks sixty-four bytes at a time, then sixteen. Counting down instead of comparing offsets keeps the compiler from adding
  /// overflow checks: 30 instead of 90 instructions for 64 bytes, and 10 % of an echo of 64 KiB (callgrind).
  ///
  /// - Parameter done: how many bytes of the payload came before, which selects the place in the mask.
  /// - Returns: whether the result is all ASCII, which is UTF-8 without another check.
  @discardableResult
  static func apply(
    _ mask: UInt32, to bytes: inout MutableRawSpan, _ part: Range<Int>, from done: Int
  ) -> Bool {
    precondition(part.lowerBound >= 0 && part.upperBound <= bytes.byteCount)
    let shift = UInt32(truncatingIfNeeded: done & 3) &* 8
    let turned = shift == 0 ? mask : mask >> shift | mask << (32 &- shift)
    return unsafe bytes.withUnsafeMutableBytes { buffer in
      guard let start = buffer.baseAddress else { return true }
      return unsafe apply(turned, at: start + part.lowerBound, part.count)
    }
  }

  private static func apply(_ mask: UInt32, at start: UnsafeMutableRawPointer, _ count: Int) -> Bool {
    var place = unsafe start
    var left = count
    let word = UInt64(mask.littleEndian) << 32 | UInt64(mask.littleEndian)
    let eight = SIMD8<UInt64>(repeating: word)
    var many = SIMD8<UInt64>.zero
    while left >= 64 {
      let plain = unsafe place.loadUnaligned(as: SIMD8<UInt64>.self) ^ eight
      many |= plain
      unsafe place.storeBytes(of: plain, as: SIMD8<UInt64>.self)
      unsafe place += 64
      left &-= 64
    }
    let two = SIMD2<UInt64>(repeating: word)
    var seen = many.evenHalf.evenHalf | many.evenHalf.oddHalf | many.oddHalf.evenHalf | many.oddHalf.oddHalf
    while left >= 16 {
      let plain = unsafe place.loadUnaligned(as: SIMD2<UInt64>.self) ^ two
      seen |= plain
      unsafe place.storeBytes(of: plain, as: SIMD2<UInt64>.self)
      unsafe place += 16
      left &-= 16
    }
    var rest = mask
    var last: UInt8 = 0
    while left > 0 {
      let plain = unsafe place.load(as: UInt8.self) ^ UInt8(truncatingIfNeeded: rest)
      last |= plain
      unsafe place.storeBytes(of: plain, as: UInt8.self)
      rest = rest >> 8 | rest << 24
      unsafe place += 1
      left &-= 1
    }
    return (seen[0] | seen[1] | UInt64(last)) & 0x8080_8080_8080_8080 == 0
  }
}
