/// A pattern for group names: a template in which `*` stands for any characters, or none: `ticker_*`.
package struct GroupPattern: Sendable, Hashable {
  package var parts: [GroupNamePart]

  package init(parts: [GroupNamePart]) {
    self.parts = parts
  }

  /// Reads the notation: that of `GroupTemplate`, and `*`.
  package static func parse(_ text: String) -> Result<GroupPattern, PatternFault> {
    var parts: [GroupNamePart] = []
    var offset = 0
    for (number, piece) in text.split(separator: "*", omittingEmptySubsequences: false).enumerated() {
      if number > 0 { parts.append(.anything) }
      defer { offset += piece.utf8.count + 1 }
      guard !piece.isEmpty else { continue }
      switch GroupTemplate.parse(String(piece)) {
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

  /// A pattern for all groups that a template can name, whatever its places are filled with.
  package init(anyOf template: GroupTemplate) {
    parts = template.parts.map { part in
      if case .literal(let text) = part { .literal(text) } else { .anything }
    }
  }

  package var text: String { parts.text }
  package var captureNames: [String] { parts.captureNames }
  package var isPersonal: Bool { !parts.identityFields.isEmpty }

  /// The same pattern with `{user}` as the client's user instead of a capture of that name.
  package var withUser: GroupPattern { GroupPattern(parts: parts.withUser) }

  /// Whether the pattern matches the group, for a client with these captures and this identity. If a place cannot be filled, or
  /// is filled with an empty text, no group matches.
  ///
  /// Takes time in proportion to the name, whatever the number of `*`.
  package func matches(
    _ name: String, captures: Captures = Captures(), identity: (String) -> String? = { _ in nil }
  ) -> Bool {
    var pieces: [[UInt8]] = [[]]
    for part in parts {
      switch part {
      case .literal(let text): pieces[pieces.count - 1] += text.utf8
      case .anything: pieces.append([])
      case .capture(let place):
        guard let value = captures[place], !value.isEmpty else { return false }
        pieces[pieces.count - 1] += value.utf8
      case .identity(let place):
        guard let value = identity(place), !value.isEmpty else { return false }
        pieces[pieces.count - 1] += value.utf8
      }
    }
    return GroupTemplate.isOpen(name) && Self.matches(Array(name.utf8), pieces)
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
