import Bytes

/// A mistake in the notation of a single value, which YAML reads as part of the value.
struct Slip: Sendable {
  var severity = Finding.Severity.error
  /// What is wrong, without a full stop.
  var message: String
  var hint: String
  /// The place in the value, in characters (Unicode scalars).
  var place: Range<Int>
  /// The value that was meant; nil if it is not known.
  var meant: String?

  /// The first slip in a value without quotes.
  ///
  /// - Parameter key: the key that the value stands under.
  static func first(in text: String, under key: String?) -> Slip? {
    guard let first = text.utf8.first, let last = text.utf8.last else { return nil }
    // Almost all values have none of these characters.
    let isSuspect =
      first >= 0x80 || last >= 0x80 || ",;".utf8.contains(last)
      || text.utf8.contains { $0 == UInt8(ascii: "$") || $0 == UInt8(ascii: "/") }
    guard isSuspect else { return nil }
    return comment(text) ?? blankEnd(text) ?? quote(text) ?? separator(text) ?? variable(text, under: key)
  }

  /// `ws/chat/ // the chat`
  private static func comment(_ text: String) -> Slip? {
    let bytes = Array(text.utf8)
    var isBehindSpace = true
    for (offset, byte) in bytes.enumerated() {
      if isBehindSpace, bytes[offset...].starts(with: "//".utf8),
        offset > 0 || bytes.count > 2 && bytes[2] == UInt8(ascii: " ")
      {
        let start = bytes[..<offset].characterCount
        let value = String(decoding: bytes[..<offset], as: UTF8.self)
        return Slip(
          message: "\"//\" does not begin a comment in YAML: it is part of the value",
          hint: "begin the comment with \"#\", or put the whole value in quotes", place: start..<(start + 2),
          meant: value.trimmed(of: isSpace))
      }
      isBehindSpace = byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
    }
    return nil
  }

  /// A no-break space or an invisible character at the beginning or at the end.
  private static func blankEnd(_ text: String) -> Slip? {
    let scalars = Array(text.unicodeScalars)
    guard let first = scalars.first, let last = scalars.last else { return nil }
    let offset = Lookalike.isBlank(last) ? scalars.count - 1 : 0
    guard Lookalike.isBlank(first) || offset > 0, let found = Lookalike(scalars[offset]) else { return nil }
    return Slip(
      message: "the value \(offset > 0 ? "ends" : "begins") with \(found.name)",
      hint: "remove it, or put the value in quotes", place: offset..<(offset + 1),
      meant: text.trimmed { $0 == " " || Lookalike.isBlank($0) })
  }

  /// `“ws/chat/”`
  private static func quote(_ text: String) -> Slip? {
    guard let first = text.unicodeScalars.first, isQuote(first) else { return nil }
    var meant = text.unicodeScalars.dropFirst()
    if let last = meant.last, isQuote(last) { meant.removeLast() }
    let name = Lookalike(first)?.name ?? "a typographic quote"
    return Slip(
      message: "the value begins with \(name), which is part of it", hint: "use the ordinary quote \"",
      place: 0..<1, meant: String(meant))
  }

  private static func isQuote(_ scalar: Unicode.Scalar) -> Bool { (0x2018...0x201F).contains(scalar.value) }

  /// `chat,` and `chat;`
  private static func separator(_ text: String) -> Slip? {
    guard let last = text.last, last == "," || last == ";" else { return nil }
    let count = text.unicodeScalars.count
    return Slip(
      message: "the value ends in \"\(last)\", which is part of it",
      hint: "remove \(last == "," ? "the comma" : "it"), or put the value in quotes",
      place: (count - 1)..<count, meant: text.dropLast().trimmed(of: isSpace))
  }

  /// `$REDIS_URL`; only `${REDIS_URL}` is replaced.
  ///
  /// - Parameter key: the key that the value stands under. Most values may be secrets, of which nothing is repeated.
  static func variable(_ text: String, under key: String?) -> Slip? {
    let bytes = Array(text.utf8)
    for (offset, byte) in bytes.enumerated() where byte == UInt8(ascii: "$") {
      guard offset == 0 || bytes[offset - 1] != UInt8(ascii: "$") else { continue }
      let name = bytes[(offset + 1)...].prefix(while: isOfVariable)
      guard name.count > 2, !name[offset + 1].isDigit else { continue }
      let shown = String(decoding: name, as: UTF8.self)
      let start = bytes[..<offset].characterCount
      let isWhole = name.count + 1 == bytes.count
      let place = start..<(start + name.count + 1)
      if isWhole, key == VariableName.key {
        return Slip(
          message: "\"env\" takes the name of a variable, without \"$\"",
          hint: "write env: \(shown), without \"$\"", place: place)
      }
      guard let key, KeysWithoutSecrets.contains(key, isWhole: isWhole) else {
        return Slip(
          severity: isWhole ? .error : .warning,
          message: "\"$\" and a name are text here, and not an environment variable",
          hint: "write \"${NAME}\" for a variable, or single quotes around the text", place: place)
      }
      return Slip(
        severity: isWhole ? .error : .warning,
        message: "\"$\(shown)\" is text here, and not the environment variable",
        hint: "write \"${\(shown)}\" for the variable, or single quotes around the text", place: place)
    }
    return nil
  }

  private static func isSpace(_ scalar: Unicode.Scalar) -> Bool { scalar == " " || scalar == "\t" }

  private static func isOfVariable(_ byte: UInt8) -> Bool {
    byte.isLetterOrDigit && !byte.isLowercaseLetter || byte == UInt8(ascii: "_")
  }
}

extension StringProtocol {
  /// Without such characters at its beginning and its end.
  fileprivate func trimmed(of isCut: (Unicode.Scalar) -> Bool) -> String {
    let text = unicodeScalars.drop(while: isCut)
    let end = text.reversed().prefix(while: isCut).count
    return String(String.UnicodeScalarView(text.dropLast(end)))
  }
}

extension Node {
  /// The name in `{name}` without quotes, which YAML reads as a mapping.
  var bracedName: String? {
    guard case .mapping(let entries) = content, entries.count == 1,
      case .scalar(let value) = entries[0].value.content, value.style == .plain, value.text.isEmpty,
      // A mapping of indented lines begins with its key.
      range.start != entries[0].key.range.start
    else { return nil }
    return entries[0].key.value
  }
}
