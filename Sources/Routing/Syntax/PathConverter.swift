/// Django's path converters (`django.urls.converters`).
package enum PathConverter: String, Sendable, Hashable, CaseIterable {
  /// `[0-9]+`, any length; the value has no leading zeros.
  case int
  /// `[^/]+`.
  case str
  /// `[-a-zA-Z0-9_]+`.
  case slug
  /// Lower-case hexadecimal, 8-4-4-4-12.
  case uuid
  /// `.+`: like `str`, but includes slashes. Line feeds are not part of it.
  case path

  var expression: Expression {
    func oneOrMore(_ set: CharacterRanges) -> Expression {
      .repetition(.characters(set), least: 1, most: nil, preference: .greedy)
    }
    switch self {
    case .int: return oneOrMore(.digits)
    case .str: return oneOrMore(CharacterRanges(UnicodeScalar("/")).inverted)
    case .slug: return oneOrMore(CharacterRanges.word.union(CharacterRanges(UnicodeScalar("-"))))
    case .uuid:
      let digit = Expression.characters(CharacterRanges([0x30...0x39, 0x61...0x66]))
      let groups = [8, 4, 4, 4, 12].map {
        [Expression.repetition(digit, least: $0, most: $0, preference: .greedy)]
      }
      return .sequence(Array(groups.joined(separator: [.text("-")])))
    case .path: return oneOrMore(CharacterRanges(UnicodeScalar("\n")).inverted)
    }
  }

  /// The integers that `normalised` returns.
  static let normalisedInteger: Expression = .alternatives([
    .text("0"),
    .sequence([
      .characters(CharacterRanges([0x31...0x39])),
      .repetition(.characters(.digits), least: 0, most: nil, preference: .greedy),
    ]),
  ])

  /// The values of a capture with it.
  var values: Expression { self == .int ? Self.normalisedInteger : expression }

  /// The value as Django would pass it on, as text.
  func normalised(_ text: String) -> String {
    switch self {
    case .int:
      let digits = text.drop { $0 == "0" }
      return digits.isEmpty ? "0" : String(digits)
    case .str, .slug, .uuid, .path: return text
    }
  }
}
