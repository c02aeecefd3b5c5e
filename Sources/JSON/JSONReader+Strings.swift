import Bytes

extension JSONReader {
  mutating func readString(_ text: RawSpan) throws(JSONFault) -> String {
    let start = position + 1
    let hasEscapes = try skipString(text)
    let inner = start..<(position - 1)
    return hasEscapes ? Self.unescaped(text.extracting(inner)) : text.string(inner)
  }

  /// - Returns: whether the string holds escapes.
  @discardableResult
  mutating func skipString(_ text: RawSpan) throws(JSONFault) -> Bool {
    position += 1
    var hasEscapes = false
    while position < text.byteCount {
      skipPlainWords(text)
      guard let byte = byte(text) else { break }
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return hasEscapes
      case UInt8(ascii: "\\"):
        hasEscapes = true
        try skipEscape(text)
      case 0..<0x20: throw fault("a control character in a string")
      case 0x20..<0x80: position += 1
      default: try skipMultibyte(text)
      }
    }
    throw fault("a string's closing quote is missing")
  }

  /// Skips plain ASCII eight bytes at a time, because most strings consist of it.
  private mutating func skipPlainWords(_ text: RawSpan) {
    let ones: UInt64 = 0x0101_0101_0101_0101
    position = text.skipWords(from: position) { word in
      let quotes = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
      let backslashes = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
      // The top bit of a byte is set if it is not ASCII, or is a control character, a quote or a backslash. The bytes behind such
      // a one do not count: it can borrow from them.
      return word | (word &- ones &* 0x20) | (quotes &- ones) | (backslashes &- ones)
    }
  }

  private mutating func skipEscape(_ text: RawSpan) throws(JSONFault) {
    guard position + 1 < text.byteCount else { throw fault("an escape is cut off") }
    switch text[position + 1] {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
      UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      position += 2
    case UInt8(ascii: "u"):
      guard let unit = Self.hexUnit(text, at: position + 2) else {
        throw fault("an escape is not \\u and 4 digits")
      }
      switch unit {
      case 0xD800..<0xDC00:
        guard position + 7 < text.byteCount, text[position + 6] == UInt8(ascii: "\\"),
          text[position + 7] == UInt8(ascii: "u"), let low = Self.hexUnit(text, at: position + 8),
          (0xDC00..<0xE000).contains(low)
        else { throw fault("half a surrogate pair") }
        position += 12
      case 0xDC00..<0xE000: throw fault("half a surrogate pair")
      default: position += 6
      }
    default: throw fault("an unknown escape")
    }
  }

  /// - Precondition: the next byte is not ASCII.
  private mutating func skipMultibyte(_ text: RawSpan) throws(JSONFault) {
    guard let lead = UTF8Lead(text[position]), position + Int(lead.length) <= text.byteCount,
      text.completes(lead, at: position)
    else { throw fault("invalid UTF-8") }
    position += Int(lead.length)
  }

  private static func hexUnit(_ text: RawSpan, at offset: Int) -> UInt16? {
    guard offset + 4 <= text.byteCount else { return nil }
    var unit: UInt16 = 0
    for index in offset..<offset + 4 {
      guard let digit = text[index].hexadecimalValue else { return nil }
      unit = unit << 4 | UInt16(digit)
    }
    return unit
  }

  /// The inside of a string that was checked.
  private static func unescaped(_ inner: RawSpan) -> String {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(inner.byteCount)
    var index = 0
    while index < inner.byteCount {
      guard inner[index] == UInt8(ascii: "\\") else {
        bytes.append(inner[index])
        index += 1
        continue
      }
      switch inner[index + 1] {
      case UInt8(ascii: "b"): bytes.append(0x08)
      case UInt8(ascii: "f"): bytes.append(0x0C)
      case UInt8(ascii: "n"): bytes.append(0x0A)
      case UInt8(ascii: "r"): bytes.append(0x0D)
      case UInt8(ascii: "t"): bytes.append(0x09)
      case UInt8(ascii: "u"):
        let high = UInt32(hexUnit(inner, at: index + 2) ?? 0)
        var scalar = high
        if (0xD800..<0xDC00).contains(high) {
          let low = UInt32(hexUnit(inner, at: index + 8) ?? 0)
          scalar = 0x10000 + (high - 0xD800) << 10 + (low - 0xDC00)
          index += 6
        }
        bytes.append(contentsOf: String(Unicode.Scalar(scalar) ?? "\u{FFFD}").utf8)
        index += 4
      case let same: bytes.append(same)
      }
      index += 2
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
