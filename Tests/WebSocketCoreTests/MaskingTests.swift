import Testing

@testable import WebSocketCore

/// RFC 6455 section 5.3, as it is written there: byte `i` with byte `i mod 4` of the key.
private func masked(_ payload: [UInt8], _ key: UInt32, from done: Int) -> [UInt8] {
  payload.enumerated().map { index, byte in
    byte ^ UInt8(truncatingIfNeeded: key >> (8 * UInt32((done + index) % 4)))
  }
}

/// Applies the mask to the part of the bytes.
private func apply(_ key: UInt32, to bytes: inout [UInt8], _ part: Range<Int>, from done: Int) -> Bool {
  var span = bytes.mutableSpan
  var raw = unsafe span.mutableBytes
  return Masking.apply(key, to: &raw, part, from: done)
}

struct MaskingTests {
  @Test func `every length, place and part is what the section says, and nothing beside it is touched`() {
    for length in 0...200 {
      let (start, done) = (length % 17, length % 7)
      let key = UInt32.random(in: 1...(.max))
      let payload = (0..<length).map { _ in UInt8.random(in: 0...(.max)) }
      let before = [UInt8](repeating: 0xA5, count: start)
      let after = [UInt8](repeating: 0x5A, count: 64)
      var bytes = before + payload + after
      let isASCII = apply(key, to: &bytes, start..<(start + length), from: done)
      let expected = masked(payload, key, from: done)
      #expect(bytes == before + expected + after, "\(length) bytes")
      #expect(isASCII == expected.allSatisfy { $0 < 0x80 }, "\(length) bytes")
    }
  }

  @Test func `one byte beyond ASCII is seen wherever it stands`() {
    for length in 1...150 {
      for place in 0..<length {
        var text = [UInt8](repeating: UInt8(ascii: "a"), count: length)
        let key: UInt32 = 0x8040_20FF
        var plain = masked(text, key, from: 0)
        let seen = apply(key, to: &plain, 0..<length, from: 0)
        #expect(seen)
        text[place] = 0x80
        var other = masked(text, key, from: 0)
        let isASCII = apply(key, to: &other, 0..<length, from: 0)
        #expect(!isASCII, "byte \(place) of \(length)")
      }
    }
  }
}
