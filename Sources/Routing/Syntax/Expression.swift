import Bytes

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

extension Expression {
  /// Whether every match begins at the place that `start` means.
  var beginsWithStart: Bool {
    switch self {
    case .start: true
    case .sequence(let parts): parts.first?.beginsWithStart ?? false
    case .alternatives(let alternatives): alternatives.allSatisfy(\.beginsWithStart)
    case .repetition(let inner, let least, _, _): least > 0 && inner.beginsWithStart
    case .capture(_, let inner): inner.beginsWithStart
    case .characters, .end, .endOrLastLineFeed: false
    }
  }

  /// Whether it can match without a character.
  var mayBeEmpty: Bool {
    switch self {
    case .characters: false
    case .start, .end, .endOrLastLineFeed: true
    case .sequence(let parts): parts.allSatisfy(\.mayBeEmpty)
    case .alternatives(let alternatives): alternatives.contains(where: \.mayBeEmpty)
    case .repetition(let inner, let least, _, _): least == 0 || inner.mayBeEmpty
    case .capture(_, let inner): inner.mayBeEmpty
    }
  }

  /// Whether every match goes through the capture.
  func alwaysTakes(capture number: Int) -> Bool {
    switch self {
    case .characters, .start, .end, .endOrLastLineFeed: false
    case .sequence(let parts): parts.contains { $0.alwaysTakes(capture: number) }
    case .alternatives(let alternatives): alternatives.allSatisfy { $0.alwaysTakes(capture: number) }
    case .repetition(let inner, let least, _, _): least > 0 && inner.alwaysTakes(capture: number)
    case .capture(let own, let inner): own == number || inner.alwaysTakes(capture: number)
    }
  }

  var withoutCaptures: Expression {
    mapping { expression in if case .capture(_, let inner) = expression { inner } else { expression } }
  }

  /// The expression with its assertions assumed to hold.
  var withoutAssertions: Expression {
    mapping { expression in
      switch expression {
      case .start, .end, .endOrLastLineFeed: .empty
      case .characters, .sequence, .alternatives, .repetition, .capture: expression
      }
    }
  }

  /// Without what has characters outside of the set.
  func limited(to set: CharacterRanges) -> Expression {
    mapping { expression in
      if case .characters(let own) = expression { .characters(own.intersection(set)) } else { expression }
    }
  }

  /// What the texts that it matches become by `GroupName.escaped`.
  var escaped: Expression {
    mapping { expression in
      guard case .characters(let set) = expression else { return expression }
      return .alternatives(
        [.characters(set.intersection(.plainInNames))]
          + set.intersection(.escapedInNames).ranges.flatMap(UTF8Ranges.sequences).map { bytes in
            .sequence(bytes.map(Expression.escape))
          })
    }
  }

  /// `.` and two digits for each byte of the range.
  private static func escape(of bytes: ClosedRange<UInt8>) -> Expression {
    func digits(_ range: ClosedRange<UInt8>) -> Expression {
      .characters(
        CharacterRanges(
          range.map { UInt32($0.hexadecimalDigits(uppercase: true).1) }.map { $0...$0 }))
    }
    let pairs = (bytes.lowerBound >> 4...bytes.upperBound >> 4).map { high in
      let own = (high << 4...high << 4 | 15).clamped(to: bytes)
      return Expression.sequence([digits(high...high), digits(own.lowerBound & 15...own.upperBound & 15)])
    }
    return .sequence([.text("."), .alternatives(pairs)])
  }

  /// The expression with captures replaced.
  func replacingCaptures(_ replacement: (Int) -> Expression?) -> Expression {
    mapping { expression in
      guard case .capture(let number, _) = expression, let replaced = replacement(number) else {
        return expression
      }
      return replaced
    }
  }

  /// Changes every part, the inner ones first.
  private func mapping(_ change: (Expression) -> Expression) -> Expression {
    switch self {
    case .characters, .start, .end, .endOrLastLineFeed: change(self)
    case .sequence(let parts): change(.sequence(parts.map { $0.mapping(change) }))
    case .alternatives(let alternatives): change(.alternatives(alternatives.map { $0.mapping(change) }))
    case .repetition(let inner, let least, let most, let preference):
      change(.repetition(inner.mapping(change), least: least, most: most, preference: preference))
    case .capture(let number, let inner): change(.capture(number, inner.mapping(change)))
    }
  }
}
