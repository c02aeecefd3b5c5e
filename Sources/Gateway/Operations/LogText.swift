import Bytes

/// Writes foreign text into a log line: characters that could end, forge or hide a line, or move a terminal's cursor, are
/// written as JSON escapes, bytes that are no text as `\xff`, and long text is cut.
enum LogText {
  /// Where the text stands.
  enum Place {
    case bare
    /// Between quotation marks, so that these and backslashes must be escaped.
    case quoted
    /// The same, for readers that know no other escapes than those of JSON.
    case json
  }

  /// Appends the text, at most `limit` bytes of it and a mark if it was cut.
  ///
  /// - Returns: whether it was written unchanged.
  @discardableResult
  static func append(_ text: String, to line: inout String, limit: Int, _ place: Place) -> Bool {
    var left = limit
    var isPlain = true
    for scalar in text.unicodeScalars {
      let escape = escape(scalar, place)
      left -= escape?.utf8.count ?? UTF8.width(scalar)
      guard left >= 0 else {
        line += "…"
        return false
      }
      if let escape {
        isPlain = false
        line += escape
      } else {
        line.unicodeScalars.append(scalar)
      }
    }
    return isPlain
  }

  /// Nil for a character that needs no escape.
  private static func escape(_ scalar: Unicode.Scalar, _ place: Place) -> String? {
    switch scalar {
    case "\"": place == .bare ? nil : "\\\""
    case "\\": place == .bare ? nil : "\\\\"
    case " "..."~": nil
    case "\n": "\\n"
    case "\r": "\\r"
    case "\t": "\\t"
    default: escape(odd: scalar, place)
    }
  }

  private static func escape(odd scalar: Unicode.Scalar, _ place: Place) -> String? {
    if let byte = OpaqueText.byte(of: scalar) {
      return (place == .json ? "\\\\x" : "\\x") + UInt16(byte).hexadecimal(width: 2)
    }
    return scalar.isInvisible ? scalar.jsonEscape : nil
  }
}
