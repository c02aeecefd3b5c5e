extension UInt8 {
  /// The value of a hexadecimal digit in upper or lower case, 0 to 15; nil for another character.
  @inlinable
  public var hexadecimalValue: UInt8? {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}

extension Sequence<UInt8> {
  /// Two lower-case digits for each byte.
  package var hexadecimal: String { map { $0.hexadecimal(width: 2) }.joined() }
}

extension FixedWidthInteger where Self: UnsignedInteger {
  /// Reads hexadecimal digits in upper or lower case; nil for other characters (`init(_:radix:)` takes a sign too), for no digits,
  /// and for a number that is too large.
  package init?(hexadecimal digits: some StringProtocol) {
    guard digits.utf8.allSatisfy({ $0.hexadecimalValue != nil }) else { return nil }
    self.init(digits, radix: 16)
  }

  /// The number in hexadecimal, with zeros before it up to a width.
  package func hexadecimal(width: Int, uppercase: Bool = false) -> String {
    let digits = String(self, radix: 16, uppercase: uppercase)
    return String(repeating: "0", count: Swift.max(0, width - digits.utf8.count)) + digits
  }
}
