/// A text for names of groups, with places for a route's captures and for the client's identity: `chat_{room}`, `user_{user}`.
///
/// In a pattern, `*` stands for any characters, or none: `ticker_*`. A template is a pattern without `*`, and so names one group for
/// each session.
package struct GroupPattern: Sendable, Hashable {
  package enum Part: Sendable, Hashable {
    case literal(String)
    /// What the route captures under that name.
    case capture(String)
    /// A field of the client's identity: `user`, or `claims.NAME`. Any name that is not empty.
    case identity(String)
    /// `*`: any run of characters, also none.
    case anything
  }

  package var parts: [Part]

  package init(parts: [Part]) {
    self.parts = parts
  }

  /// The places of `{user}` and `{claims.NAME}`.
  package static let user = "user"
  package static let claimPrefix = "claims."

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
    let bytes = Array(text.utf8)
    var parts: [Part] = []
    var index = 0
    do throws(PatternFault) {
      guard !bytes.isEmpty else { throw fault("the group name is empty", 0..<0) }
      while index < bytes.count {
        parts.append(try bytes[index] == UInt8(ascii: "{") ? place(bytes, &index) : literal(bytes, &index))
      }
      let literals = parts.reduce(0) { if case .literal(let text) = $1 { $0 + text.utf8.count } else { $0 } }
      guard literals <= GroupName.longest else {
        throw fault("a group name has at most \(GroupName.longest) characters", 0..<bytes.count)
      }
      return .success(GroupPattern(parts: parts))
    } catch {
      return .failure(error)
    }
  }

  private static func fault(_ message: String, _ range: Range<Int>, hint: String? = nil) -> PatternFault {
    PatternFault(.invalid, message, hint: hint, at: range)
  }

  /// `{room}`, `{user}` or `{claims.NAME}`.
  private static func place(_ bytes: [UInt8], _ index: inout Int) throws(PatternFault) -> Part {
    let start = index
    guard let close = bytes[start...].firstIndex(of: UInt8(ascii: "}")) else {
      throw fault("\"{\" is not closed by \"}\"", start..<bytes.count)
    }
    let name = String(decoding: bytes[(start + 1)..<close], as: UTF8.self)
    index = close + 1
    if name.hasPrefix(claimPrefix), name.utf8.count > claimPrefix.utf8.count { return .identity(name) }
    guard isIdentifier(name) else {
      throw fault(
        "\"\(name)\" is not the name of a capture", start..<index,
        hint: "write {user} for the user, and {claims.NAME} for a claim of the token")
    }
    return .capture(name)
  }

  private static func literal(_ bytes: [UInt8], _ index: inout Int) throws(PatternFault) -> Part {
    let text = bytes[index...].prefix { $0 != UInt8(ascii: "{") }
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

  /// A pattern for all groups that a template can name, whatever its places are filled with.
  package init(anyOf template: GroupPattern) {
    parts = template.parts.map { part in
      if case .literal(let text) = part { .literal(text) } else { .anything }
    }
  }

  /// As the operator wrote it.
  package var text: String {
    parts.map { part in
      switch part {
      case .literal(let text): text
      case .capture(let name), .identity(let name): "{\(name)}"
      case .anything: "*"
      }
    }.joined()
  }

  package var captureNames: [String] {
    parts.compactMap { if case .capture(let name) = $0 { name } else { nil } }
  }

  /// The identity fields that separate the groups of different clients.
  package var identityFields: [String] {
    parts.compactMap { if case .identity(let field) = $0 { field } else { nil } }
  }

  /// Whether the name depends on the client's identity.
  package var isPersonal: Bool { !identityFields.isEmpty }

  /// The same pattern with `{user}` as the client's user instead of a capture of that name.
  package var withUser: GroupPattern {
    GroupPattern(parts: parts.map { $0 == .capture(Self.user) ? .identity(Self.user) : $0 })
  }

  /// The group of one session; nil if a channel layer would refuse the name: it has an invalid character, is too long, is
  /// reserved, has a capture that took no part in the match, or needs a fact about the client that is not known. A `*` names no
  /// group.
  ///
  /// - Parameter identity: the client's identity, by `user` or `claims.NAME`.
  package func name(for captures: Captures, identity: (String) -> String? = { _ in nil }) -> String? {
    var name = ""
    for part in parts {
      switch part {
      case .literal(let text): name += text
      case .capture(let capture):
        guard let value = captures[capture] else { return nil }
        name += value
      case .identity(let place):
        guard let value = identity(place), !value.isEmpty else { return nil }
        name += value
      case .anything: return nil
      }
    }
    return GroupName.isOpen(name) ? name : nil
  }

  /// Whether the pattern matches the group, for a client with these captures and this identity. If a place cannot be filled, or
  /// is filled with an empty text, no group matches.
  ///
  /// Takes time in proportion to the name, whatever the number of `*`.
  package func matches(
    _ name: String, captures: Captures = Captures(), identity: (String) -> String? = { _ in nil }
  ) -> Bool {
    guard GroupName.isOpen(name) else { return false }
    if let isMatch = matchesPlainly(name) { return isMatch }
    var pieces: [[UInt8]] = [[]]
    for part in parts {
      let filled: String?
      switch part {
      case .anything:
        pieces.append([])
        continue
      case .literal(let text): filled = text
      case .capture(let place): filled = captures[place]
      case .identity(let place): filled = identity(place)
      }
      guard let filled, !filled.isEmpty else { return false }
      pieces[pieces.count - 1] += filled.utf8
    }
    return Self.matches(Array(name.utf8), pieces)
  }

  /// The most frequent patterns are a text, everything, and everything behind a text: they need no pieces, which each published event
  /// would allocate. Nil for any other pattern.
  private func matchesPlainly(_ name: String) -> Bool? {
    switch (parts[0], parts.count) {
    case (.literal(let text), 1): name == text
    case (.anything, 1): true
    case (.literal(let start), 2) where parts[1] == .anything: name.hasPrefix(start)
    default: nil
    }
  }

  /// - Parameter pieces: the texts between the `*`; one piece if there is no `*`.
  private static func matches(_ name: [UInt8], _ pieces: [[UInt8]]) -> Bool {
    let first = pieces[0]
    guard pieces.count > 1 else { return name == first }
    let last = pieces[pieces.count - 1]
    guard name.count >= first.count + last.count, name.starts(with: first),
      name.suffix(last.count).elementsEqual(last)
    else { return false }
    // The first possible place of each piece is the best for the pieces after it.
    var rest = name[first.count..<(name.count - last.count)]
    for piece in pieces[1..<(pieces.count - 1)] where !piece.isEmpty {
      guard let found = rest.firstRange(of: piece) else { return false }
      rest = rest[found.upperBound...]
    }
    return true
  }
}
