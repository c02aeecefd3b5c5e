extension GroupPattern {
  /// Reads the notation of a template, and `*`.
  package static func parse(_ text: String) -> Result<GroupPattern, PatternFault> {
    var parts: [Part] = []
    var offset = 0
    for (number, piece) in text.split(separator: "*", omittingEmptySubsequences: false).enumerated() {
      if number > 0 { parts.append(.anything) }
      defer { offset += piece.utf8.count + 1 }
      guard !piece.isEmpty else { continue }
      switch parse(template: String(piece)) {
      case .success(let template): parts += template.parts
      case .failure(var fault):
        fault.range = (fault.range.lowerBound + offset)..<(fault.range.upperBound + offset)
        return .failure(fault)
      }
    }
    guard !parts.isEmpty else {
      return .failure(PatternFault(.invalid, "the group name is empty", at: 0..<0))
    }
    return .success(GroupPattern(parts: parts))
  }

  /// Reads the notation of a template, without `*`. Literal text must be valid in a group name.
  package static func parse(template text: String) -> Result<GroupPattern, PatternFault> {
    let read = parts(of: text) { bytes, index throws(PatternFault) in
      try bytes[index] == UInt8(ascii: "{") ? place(bytes, &index) : literal(bytes, &index)
    }
    return read.flatMap { parts in
      let literals = parts.reduce(0) { if case .literal(let text) = $1 { $0 + text.utf8.count } else { $0 } }
      guard literals <= GroupName.longest else {
        return .failure(
          fault("a group name has at most \(GroupName.longest) characters", 0..<text.utf8.count))
      }
      return .success(GroupPattern(parts: parts))
    }
  }

  /// Reads the notation of groups that a view's answer may name: text, path converters such as `<int:id>`, and `*`.
  package static func parse(fromView text: String) -> Result<GroupPattern, PatternFault> {
    let read = parts(of: text) { bytes, index throws(PatternFault) in
      switch bytes[index] {
      case UInt8(ascii: "*"):
        index += 1
        return .anything
      case UInt8(ascii: "<"): return try converter(text, bytes, &index)
      case UInt8(ascii: "{"):
        throw fault(
          "\"{\" does not begin a place here: what a view may name depends on nothing else",
          index..<index + 1,
          hint: "write <int:id>, <slug:name>, <uuid:id>, or * for any text")
      default: return try literal(bytes, &index, before: "<*{")
      }
    }
    return read.map(GroupPattern.init(parts:))
  }

  /// - Parameter next: reads the part that begins at the index, and moves behind it.
  private static func parts(
    of text: String, _ next: (_ bytes: [UInt8], _ index: inout Int) throws(PatternFault) -> Part
  ) -> Result<[Part], PatternFault> {
    let bytes = Array(text.utf8)
    guard !bytes.isEmpty else { return .failure(fault("the group name is empty", 0..<0)) }
    var parts: [Part] = []
    var index = 0
    do throws(PatternFault) {
      while index < bytes.count { parts.append(try next(bytes, &index)) }
      return .success(parts)
    } catch {
      return .failure(error)
    }
  }

  /// `<int:id>`
  private static func converter(
    _ text: String, _ bytes: [UInt8], _ index: inout Int
  ) throws(PatternFault) -> Part {
    let start = index
    guard let close = bytes[start...].firstIndex(of: UInt8(ascii: ">")) else {
      throw fault("\"<\" is not closed by \">\"", start..<bytes.count)
    }
    index = close + 1
    let capture = try PathPatternParser(text).capture(start..<index)
    // `<int>` is any text, called "int": in a path it may be so named, and here names mean nothing.
    let written = bytes[start..<index]
    if !written.contains(UInt8(ascii: ":")), PathConverter(rawValue: capture.name) != nil {
      throw fault(
        "\"<\(capture.name)>\" is no converter but any text with the name \"\(capture.name)\"", start..<index,
        hint: "write <\(capture.name):id>")
    }
    return .converted(capture.converter ?? .str, name: capture.name)
  }

  private static func fault(_ message: String, _ range: Range<Int>, hint: String? = nil) -> PatternFault {
    PatternFault(.invalid, message, hint: hint, at: range)
  }

  /// `{room}`, `{user}` or `{claims.NAME}`, each also with `|escaped`.
  private static func place(_ bytes: [UInt8], _ index: inout Int) throws(PatternFault) -> Part {
    let start = index
    guard let close = bytes[start...].firstIndex(of: UInt8(ascii: "}")) else {
      throw fault("\"{\" is not closed by \"}\"", start..<bytes.count)
    }
    let written = String(decoding: bytes[(start + 1)..<close], as: UTF8.self)
    index = close + 1
    let form: Form = written.hasSuffix(escapedMark) ? .escaped : .plain
    let name = form == .plain ? written : String(written.dropLast(escapedMark.count))
    if name.hasPrefix(claimPrefix), name.utf8.count > claimPrefix.utf8.count { return .identity(name, form) }
    guard isIdentifier(name) else {
      throw fault(
        "\"\(name)\" is not the name of a capture", start..<index,
        hint: name.contains("|")
          ? "the only form is {NAME|escaped}, for values that are no group names"
          : "write {user} for the user, and {claims.NAME} for a claim of the token")
    }
    return .capture(name, form)
  }

  /// - Parameter marks: the characters that end it.
  private static func literal(
    _ bytes: [UInt8], _ index: inout Int, before marks: StaticString = "{"
  ) throws(PatternFault) -> Part {
    let marks = Array(marks.description.utf8)
    let text = bytes[index...].prefix { !marks.contains($0) }
    if let wrong = text.firstIndex(where: { !GroupName.isLegal($0) }) {
      throw fault(
        "a group name cannot contain the character \"\(character(at: wrong, bytes))\"", wrong..<(wrong + 1),
        hint: "use letters, digits, \".\", \"_\", \"-\" and {NAME} for a capture")
    }
    index = text.endIndex
    return .literal(String(decoding: text, as: UTF8.self))
  }

  private static func character(at index: Int, _ bytes: [UInt8]) -> String {
    String(decoding: bytes[index...].prefix(8), as: UTF8.self).first.map(String.init) ?? ""
  }
}
