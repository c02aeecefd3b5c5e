/// Kinds of ASCII characters. The bytes of all other characters are of none of these kinds, unless it says so.
extension UInt8 {
  @inlinable
  public var isDigit: Bool { self &- UInt8(ascii: "0") < 10 }

  @inlinable
  public var isLowercaseLetter: Bool { self &- UInt8(ascii: "a") < 26 }

  @inlinable
  public var isLetter: Bool { (self | 0x20).isLowercaseLetter }

  @inlinable
  public var isLetterOrDigit: Bool { isLetter || isDigit }

  /// Whether the value of a header field can have the byte: it is no control character but a tab (RFC 9110 section 5.5). Of characters
  /// beyond ASCII every byte may stand there.
  @inlinable
  public var isInFieldValue: Bool { self >= 0x20 && self != 0x7F || self == UInt8(ascii: "\t") }
}

extension StringProtocol {
  /// Whether all characters are ASCII digits; also for an empty text.
  @inlinable
  public var isOfDigits: Bool { utf8.allSatisfy(\.isDigit) }
}
