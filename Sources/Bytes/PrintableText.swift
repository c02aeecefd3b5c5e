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

  private static let categoriesOfWords: Set<Unicode.GeneralCategory> = [
    .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
  ]
}

extension StringProtocol {
  /// The text for a terminal: invisible characters are written as `\u{1b}`.
  package var printable: String {
    var text = ""
    for scalar in unicodeScalars {
      if scalar.isInvisible {
        text += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
    return text
  }
}
