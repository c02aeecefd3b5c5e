/// Checks UTF-8 as it arrives, over any cuts, and fails at the first byte that cannot belong to it (RFC 3629).
struct UTF8Validator: Sendable {
  /// How many continuation bytes are still to come.
  private var pending: UInt8 = 0
  /// What the next one may be: tighter than 80...BF behind some first bytes, against overlong forms and surrogates.
  private var lowest: UInt8 = 0x80
  private var highest: UInt8 = 0xBF

  /// No character is cut off.
  var isComplete: Bool { pending == 0 }

  /// Whether the bytes are UTF-8 from end to end.
  static func isValid(_ bytes: RawSpan) -> Bool {
    var validator = UTF8Validator()
    return validator.check(bytes) && validator.isComplete
  }

  /// - Returns: false where the bytes cannot go on to be UTF-8.
  mutating func check(_ bytes: RawSpan) -> Bool {
    var index = 0
    let count = bytes.byteCount
    while index < count {
      if pending == 0 {
        // Most text is ASCII, and eight bytes of it are recognised at once.
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
