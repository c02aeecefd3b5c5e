/// Reads the value of a header field that consists of tokens, quoted strings and signs between them (RFC 9110 section 5.6).
package struct FieldReader {
  private let bytes: [UInt8]
  private var position = 0

  package init(_ value: String) {
    bytes = Array(value.utf8)
  }

  package var isAtEnd: Bool { position == bytes.count }

  package func isAt(_ sign: Unicode.Scalar) -> Bool {
    !isAtEnd && bytes[position] == UInt8(ascii: sign)
  }

  /// Skips the sign if it is next, and the white space around it.
  package mutating func take(_ sign: Unicode.Scalar) -> Bool {
    skipSpace()
    guard takeExactly(sign) else { return false }
    skipSpace()
    return true
  }

  /// Skips the sign if it is next, with no white space before it.
  package mutating func takeExactly(_ sign: Unicode.Scalar) -> Bool {
    guard isAt(sign) else { return false }
    position += 1
    return true
  }

  package mutating func skipSpace() {
    while isAt(" ") || isAt("\t") { position += 1 }
  }

  package mutating func token() -> String? {
    let start = position
    while !isAtEnd, Token.has(bytes[position]) { position += 1 }
    return position > start ? String(decoding: bytes[start..<position], as: UTF8.self) : nil
  }

  /// The text of a quoted string (RFC 9110 section 5.6.4), without its quotes and escapes.
  package mutating func quoted() -> String? {
    guard takeExactly("\"") else { return nil }
    var text: [UInt8] = []
    while !isAtEnd, !isAt("\"") {
      if isAt("\\") { position += 1 }
      guard !isAtEnd else { return nil }
      text.append(bytes[position])
      position += 1
    }
    return takeExactly("\"") ? String(decoding: text, as: UTF8.self) : nil
  }
}
