extension GroupPattern {
  /// Whether some name may fit both patterns, whatever fills their places. It compares what the names begin and end with, so it can be
  /// true without need.
  package func mayMeet(_ other: GroupPattern) -> Bool {
    if let name = onlyName { return GroupPattern(anyOf: other).mayHaveName(name) }
    if let name = other.onlyName { return GroupPattern(anyOf: self).mayHaveName(name) }
    let (start, end) = (ends, other.ends)
    return Self.fits(start.first, end.first) { $0.hasPrefix($1) }
      && Self.fits(start.last, end.last) { $0.hasSuffix($1) }
  }

  private static func fits(_ one: String, _ other: String, _ begins: (String, String) -> Bool) -> Bool {
    begins(one, other) || begins(other, one)
  }

  /// The name, if it has no places.
  private var onlyName: String? {
    if parts.count == 1, case .literal(let text) = parts[0] { text } else { nil }
  }

  private func mayHaveName(_ name: String) -> Bool { matches(name) }

  /// The texts before the first place and behind the last one.
  private var ends: (first: String, last: String) {
    func text(_ part: Part?) -> String { if case .literal(let text)? = part { text } else { "" } }
    return (text(parts.first), text(parts.last))
  }
}
