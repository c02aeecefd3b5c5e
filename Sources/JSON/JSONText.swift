import Bytes

/// Writes JSON text: compact, UTF-8, and with only the required escapes.
package enum JSONText {
  /// Appends a string with its quotes.
  package static func append(string: String, to text: inout [UInt8]) {
    text.append(UInt8(ascii: "\""))
    defer { text.append(UInt8(ascii: "\"")) }
    let bytes = string.utf8Span.span
    guard bytes.indices.contains(where: { needsEscape(bytes[$0]) }) else {
      return text.append(text: string)
    }
    for byte in string.utf8 {
      if needsEscape(byte) { append(escaped: byte, to: &text) } else { text.append(byte) }
    }
  }

  /// Appends a string with its quotes.
  ///
  /// - Parameter utf8: valid UTF-8. What needs no escape is copied in one piece.
  package static func append(utf8: RawSpan, to text: inout [UInt8]) {
    text.append(UInt8(ascii: "\""))
    var start = 0
    while let next = offsetOfEscape(in: utf8, from: start) {
      text.append(copying: utf8.extracting(start..<next))
      append(escaped: utf8[next], to: &text)
      start = next + 1
    }
    text.append(copying: utf8.extracting(start..<utf8.byteCount))
    text.append(UInt8(ascii: "\""))
  }

  /// Appends a list whose elements the closure appends.
  package static func append<Element>(
    list: [Element], to text: inout [UInt8], _ append: (Element, inout [UInt8]) -> Void
  ) {
    text.append(UInt8(ascii: "["))
    for (index, element) in list.enumerated() {
      if index > 0 { text.append(UInt8(ascii: ",")) }
      append(element, &text)
    }
    text.append(UInt8(ascii: "]"))
  }

  /// Appends an object whose values the closure appends.
  package static func append<Member>(
    object: [Member], name: (Member) -> String, to text: inout [UInt8],
    _ append: (Member, inout [UInt8]) -> Void
  ) {
    text.append(UInt8(ascii: "{"))
    for (index, member) in object.enumerated() {
      if index > 0 { text.append(UInt8(ascii: ",")) }
      self.append(string: name(member), to: &text)
      text.append(UInt8(ascii: ":"))
      append(member, &text)
    }
    text.append(UInt8(ascii: "}"))
  }

  private static func append(escaped byte: UInt8, to text: inout [UInt8]) {
    text.append(UInt8(ascii: "\\"))
    switch byte {
    case 0x0A: text.append(UInt8(ascii: "n"))
    case 0x0D: text.append(UInt8(ascii: "r"))
    case 0x09: text.append(UInt8(ascii: "t"))
    case 0..<0x20:
      text.append(contentsOf: "u00".utf8)
      let digits = byte.hexadecimalDigits()
      text.append(digits.0)
      text.append(digits.1)
    default: text.append(byte)
    }
  }

  private static func offsetOfEscape(in bytes: RawSpan, from start: Int) -> Int? {
    let each: UInt64 = 0x0101_0101_0101_0101
    var offset = bytes.skipWords(from: start) { word in
      let (quote, backslash) = (word ^ 0x22 * each, word ^ 0x5C * each)
      return (word &- 0x20 * each) & ~word | (quote &- each) & ~quote | (backslash &- each) & ~backslash
    }
    while offset < bytes.byteCount {
      if needsEscape(bytes[offset]) { return offset }
      offset += 1
    }
    return nil
  }

  private static func needsEscape(_ byte: UInt8) -> Bool {
    byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
  }
}

extension JSON {
  /// Appends the value as compact JSON text.
  ///
  /// JSON cannot express NaN and infinity: they become `null`.
  package func append(to text: inout [UInt8]) {
    switch self {
    case .null: text.append(contentsOf: "null".utf8)
    case .bool(let value): text.append(contentsOf: (value ? "true" : "false").utf8)
    case .unsigned(let value): text.append(contentsOf: String(value).utf8)
    case .integer(let value): text.append(contentsOf: String(value).utf8)
    // The description is the shortest text that reads as the same number.
    case .double(let value): text.append(contentsOf: (value.isFinite ? value.description : "null").utf8)
    case .string(let value): JSONText.append(string: value, to: &text)
    case .array(let elements): JSONText.append(list: elements, to: &text) { $0.append(to: &$1) }
    case .object(let members):
      JSONText.append(object: members, name: \.key, to: &text) { $0.value.append(to: &$1) }
    }
  }
}
