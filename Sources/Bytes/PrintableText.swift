extension Unicode.Scalar {
  /// Whether a reader does not see the character, or a terminal obeys it: controls (C0, DEL, C1), line and paragraph separators,
  /// format characters (marks that change the direction of writing, join, or have no width), fillers and the blank Braille
  /// pattern, and characters without a meaning that is known here.
  package var isInvisible: Bool {
    switch self {
    case " "..."~": false
    case "\u{2800}": true
    default:
      switch properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: true
      default: properties.isDefaultIgnorableCodePoint
      }
    }
  }

  /// Whether the character cannot be mistaken for the end of a word or a value: a letter or a digit of any script, or a printable
  /// ASCII character other than space, `"` and `=`.
  package var isOfWord: Bool {
    switch self {
    case " ", "\"", "=": false
    case "!"..."~": true
    default: !isInvisible && Self.categoriesOfWords.contains(properties.generalCategory)
    }
  }

  /// `\u{1b}`
  fileprivate var escape: String { "\\u{\(String(value, radix: 16))}" }

  /// Its escape in JSON: `\u001b`; beyond the first plane two of them.
  package var jsonEscape: String {
    String(self).utf16.map { "\\u" + $0.hexadecimal(width: 4) }.joined()
  }

  private static let categoriesOfWords: Set<Unicode.GeneralCategory> = [
    .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
  ]
}

extension StringProtocol {
  /// The text for a terminal: invisible characters are written as `\u{1b}`.
  package var printable: String {
    replacing { $0.isInvisible ? $0.escape : nil }
  }

  /// The same for a text of several lines, whose ends stay.
  package var printableLines: String {
    replacing { $0.isInvisible && $0 != "\n" ? $0.escape : nil }
  }

  /// The same for JSON text, which means what it meant: invisible characters stand in its strings, and are written as `\u009b`. Line ends,
  /// which do not, stay.
  package var printableJSON: String { replacing { $0.isInvisible && $0 != "\n" ? $0.jsonEscape : nil } }

  /// - Parameter words: for a character that is written in another way; nil for one that is not.
  private func replacing(_ words: (Unicode.Scalar) -> String?) -> String {
    var text = ""
    for scalar in unicodeScalars {
      if let other = words(scalar) { text += other } else { text.unicodeScalars.append(scalar) }
    }
    return text
  }
}
