/// Checks UTF-8 as it arrives in any pieces, and fails at the first invalid byte (RFC 3629).
public struct UTF8Validator: Sendable {
  /// How many continuation bytes are still to come.
  @usableFromInline
  var pending: UInt8 = 0
  /// The range of the next byte: narrower than 80...BF after some first bytes, against overlong forms and surrogates.
  private var lowest: UInt8 = 0x80
  private var highest: UInt8 = 0xBF

  public init() {}

  /// Where it stands, as three bytes: a validator of them goes on in the same place.
  package var state: [UInt8] { [pending, lowest, highest] }

  /// - Returns: nil for what is no `state`.
  package init?(state: [UInt8]) {
    guard state.count == 3, state[0] <= 3, state[1] >= 0x80, state[2] <= 0xBF, state[1] <= state[2] else {
      return nil
    }
    (pending, lowest, highest) = (state[0], state[1], state[2])
  }

  /// Whether the last character is complete.
  @inlinable
  public var isComplete: Bool { pending == 0 }

  /// Whether the bytes are complete, valid UTF-8.
  public static func isValid(_ bytes: RawSpan) -> Bool {
    var validator = UTF8Validator()
    return validator.check(bytes) && validator.isComplete
  }

  /// - Returns: false if the bytes cannot become valid UTF-8.
  public mutating func check(_ bytes: RawSpan) -> Bool {
    var index = 0
    let count = bytes.byteCount
    while index < count {
      let byte = bytes[index]
      if pending > 0 {
        guard byte >= lowest, byte <= highest else { return false }
        pending -= 1
        (lowest, highest) = (0x80, 0xBF)
        index += 1
      } else if byte < 0x80 {
        // Most text is ASCII, which is checked eight bytes at a time.
        index = max(index + 1, bytes.skipWords(from: index) { $0 })
      } else {
        guard let lead = UTF8Lead(byte) else { return false }
        let length = Int(lead.length)
        if length <= count - index {
          guard bytes.completes(lead, at: index) else { return false }
          index += length
        } else {
          (pending, lowest, highest) = (lead.length - 1, lead.lowest, lead.highest)
          index += 1
        }
      }
    }
    return true
  }
}

/// What the first byte of a character says about the bytes after it (Unicode 16.0, table 3-7).
public struct UTF8Lead: Sendable {
  /// The number of bytes of the character: 1 to 4.
  public let length: UInt8
  /// The range of the second byte: narrower than 80...BF after some first bytes, against overlong forms and surrogates. All
  /// further bytes are in 80...BF.
  public let lowest: UInt8
  public let highest: UInt8

  /// - Returns: nil for a byte that begins no character.
  @inlinable
  public init?(_ byte: UInt8) {
    var second: (lowest: UInt8, highest: UInt8) = (0x80, 0xBF)
    switch byte {
    case 0...0x7F: length = 1
    case 0xC2...0xDF: length = 2
    case 0xE0: (length, second.lowest) = (3, 0xA0)
    case 0xED: (length, second.highest) = (3, 0x9F)
    case 0xE1...0xEF: length = 3
    case 0xF0: (length, second.lowest) = (4, 0x90)
    case 0xF1...0xF3: length = 4
    case 0xF4: (length, second.highest) = (4, 0x8F)
    default: return nil
    }
    (lowest, highest) = second
  }
}

extension UInt8 {
  /// Whether the byte continues a character of UTF-8 instead of beginning one.
  @inlinable
  public var continuesCharacter: Bool { self & 0xC0 == 0x80 }
}

extension Sequence<UInt8> {
  /// The number of characters (code points) that begin in these bytes of UTF-8.
  package var characterCount: Int { count { !$0.continuesCharacter } }
}
