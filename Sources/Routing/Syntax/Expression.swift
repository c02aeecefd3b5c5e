/// A regular expression over the characters of a path, without its notation.
indirect enum Expression: Sendable, Hashable {
  /// Any one character of the set.
  case characters(CharacterRanges)
  case sequence([Expression])
  /// The first alternative that leads to a match is preferred.
  case alternatives([Expression])
  case repetition(Expression, least: Int, most: Int?, preference: Preference)
  /// What it matches is remembered under the number of the capture within its pattern.
  case capture(Int, Expression)
  /// The place before the first character.
  case start
  /// The place behind the last character.
  case end
  /// The end, or the place before a line feed that is the last character (Python's `$`).
  case endOrLastLineFeed

  enum Preference: Sendable, Hashable {
    case greedy
    case lazy
  }

  static let empty = Expression.sequence([])

  static func text(_ text: some StringProtocol) -> Expression {
    .sequence(text.unicodeScalars.map { .characters(CharacterRanges($0)) })
  }
}
