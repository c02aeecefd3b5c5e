/// Checks UTF-8 as it arrives in any pieces, and fails at the first invalid byte (RFC 3629).
struct UTF8Validator: Sendable {
  /// How many continuation bytes are still to come.
  private var pending: UInt8 = 0
  /// The range of the next byte: narrower than 80...BF after some first bytes, against overlong forms and surrogates.
  private var lowest: UInt8 = 0x80
  private var highest: UInt8 = 0xBF

  /// Whether the last character is complete.
  var isComplete: Bool { pending == 0 }

  /// Whether the bytes are complete, valid UTF-8.
  static func isValid(_ bytes: RawSpan) -> Bool {
    var validator = UTF8Validator()
    return validator.check(bytes) && validator.isComplete
  }

  /// - Returns: false if the bytes cannot become valid UTF-8.
  mutating func check(_ bytes: RawSpan) -> Bool {
    var index = 0
    let count = bytes.byteCount
    while index < count {
      if pending == 0 {
        // Most text is ASCII, which is checked eight bytes at a time.
        while index + 8 <= count {
          let word = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: UInt64.self)
          guard word & 0x8080_8080_8080_8080 == 0 else { break }
          index += 8
        }
        guard index < count else { return true }
        let byte = unsafe bytes.unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self)
        guard begin(byte) else { return false }
      } else {
        let byte = unsafe bytes.unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self)
        guard byte >= lowest, byte <= highest else { return false }
        pending -= 1
        (lowest, highest) = (0x80, 0xBF)
      }
      index += 1
    }
    return true
  }

  /// Unicode table 3-7.
  private mutating func begin(_ byte: UInt8) -> Bool {
    switch byte {
    case 0...0x7F: break
    case 0xC2...0xDF: pending = 1
    case 0xE0: (pending, lowest) = (2, 0xA0)
    case 0xED: (pending, highest) = (2, 0x9F)
    case 0xE1...0xEF: pending = 2
    case 0xF0: (pending, lowest) = (3, 0x90)
    case 0xF1...0xF3: pending = 3
    case 0xF4: (pending, highest) = (3, 0x8F)
    default: return false
    }
    return true
  }
}
