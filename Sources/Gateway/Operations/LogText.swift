import Bytes

/// Writes foreign text into a log line: characters that could end, forge or hide a line, or move a terminal's cursor, are
/// written as JSON escapes, and long text is cut.
enum LogText {
  /// Appends the text, at most `limit` bytes of it and a mark if it was cut.
  ///
  /// - Parameter isQuoted: whether it is enclosed in quotation marks, so that these and backslashes must be escaped.
  /// - Returns: whether it was written unchanged.
  @discardableResult
  static func append(_ text: String, to line: inout String, limit: Int, isQuoted: Bool) -> Bool {
    var left = limit
    var isPlain = true
    for scalar in text.unicodeScalars {
      let escape = escape(scalar, isQuoted: isQuoted)
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
  private static func escape(_ scalar: Unicode.Scalar, isQuoted: Bool) -> String? {
    switch scalar {
    case "\"": isQuoted ? "\\\"" : nil
    case "\\": isQuoted ? "\\\\" : nil
    case " "..."~": nil
    case "\n": "\\n"
    case "\r": "\\r"
    case "\t": "\\t"
    default: scalar.isInvisible ? units(of: scalar) : nil
    }
  }

  /// `\u001b`; beyond the first plane two of them.
  private static func units(of scalar: Unicode.Scalar) -> String {
    String(scalar).utf16.map { "\\u" + $0.hexadecimal(width: 4) }.joined()
  }
}
