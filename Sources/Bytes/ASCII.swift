/// Kinds of ASCII characters. The bytes of all other characters are of none of these kinds.
extension UInt8 {
  @inlinable
  public var isDigit: Bool { self &- UInt8(ascii: "0") < 10 }

  @inlinable
  public var isLowercaseLetter: Bool { self &- UInt8(ascii: "a") < 26 }

  @inlinable
  public var isLetter: Bool { (self | 0x20).isLowercaseLetter }

  @inlinable
  public var isLetterOrDigit: Bool { isLetter || isDigit }
}

extension StringProtocol {
  /// Whether all characters are ASCII digits; also for an empty text.
  @inlinable
  public var isOfDigits: Bool { utf8.allSatisfy(\.isDigit) }
}
