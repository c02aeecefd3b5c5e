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

  /// The two digits of the byte, the higher one first.
  @inlinable
  public func hexadecimalDigits(uppercase: Bool = false) -> (UInt8, UInt8) {
    let letters = UInt8(ascii: uppercase ? "A" : "a") - 10
    func digit(_ value: UInt8) -> UInt8 { value + (value < 10 ? UInt8(ascii: "0") : letters) }
    return (digit(self >> 4), digit(self & 15))
  }
}

extension Sequence<UInt8> {
  /// Two lower-case digits for each byte.
  @inlinable
  package var hexadecimal: String {
    var text: [UInt8] = []
    text.reserveCapacity(2 * underestimatedCount)
    for byte in self { text.append(hexadecimal: byte) }
    return String(decoding: text, as: UTF8.self)
  }
}

extension [UInt8] {
  /// Appends the two lower-case digits of the byte.
  @inlinable
  package mutating func append(hexadecimal byte: UInt8) {
    let digits = byte.hexadecimalDigits()
    append(digits.0)
    append(digits.1)
  }
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
