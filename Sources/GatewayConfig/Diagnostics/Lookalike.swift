import Bytes

/// A character that looks like another one, or is invisible, and therefore is hard to find in a file.
struct Lookalike: Sendable, Equatable {
  /// The name with its code point, for sentences: `a no-break space (U+00A0)`.
  let name: String
  /// The ASCII character that it looks like; empty for an invisible character.
  let plain: String

  /// Nil for a character that does not mislead.
  init?(_ scalar: Unicode.Scalar) {
    guard !scalar.isASCII, let (kind, plain) = Self.kind(of: scalar) else { return nil }
    name = "\(kind) (U+\(scalar.value.hexadecimal(width: 4, uppercase: true)))"
    self.plain = plain
  }

  private static func kind(of scalar: Unicode.Scalar) -> (String, String)? {
    switch scalar.value {
    case 0xA0, 0x202F: ("a no-break space", " ")
    case 0x1680, 0x2000...0x200A, 0x205F, 0x3000: ("a space that is not the ordinary one", " ")
    case 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF: ("a zero-width character", "")
    case 0xAD: ("a soft hyphen, which is not shown", "")
    case 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: ("a mark for the direction of text", "")
    case 0x2010...0x2015, 0x2212: ("a dash that is not the ordinary \"-\"", "-")
    case 0x2018...0x201B: ("a typographic quote", "'")
    case 0x201C...0x201F: ("a typographic quote", "\"")
    case 0xFF01...0xFF5E:
      Unicode.Scalar(scalar.value - 0xFEE0).map { ("a full-width \"\($0)\"", String($0)) }
    default: letters[scalar].map { ("\($0.script) letter that looks like \"\($0.plain)\"", String($0.plain)) }
    }
  }

  /// Letters of other alphabets that look like a Latin letter.
  private static let letters: [Unicode.Scalar: (script: String, plain: Character)] = {
    var letters: [Unicode.Scalar: (script: String, plain: Character)] = [:]
    let alphabets = [
      (
        "a Cyrillic", "\u{430}\u{435}\u{43E}\u{440}\u{441}\u{443}\u{445}\u{456}\u{458}\u{455}\u{501}\u{51B}",
        "aeopcyxijsdq"
      ),
      (
        "a Cyrillic",
        "\u{410}\u{412}\u{415}\u{41A}\u{41C}\u{41D}\u{41E}\u{420}\u{421}\u{422}\u{425}\u{406}\u{408}\u{405}",
        "ABEKMHOPCTXIJS"
      ),
      ("a Greek", "\u{3BF}\u{3B1}\u{3BD}\u{3C1}\u{3B9}", "oavpi"),
      (
        "a Greek",
        "\u{391}\u{392}\u{395}\u{396}\u{397}\u{399}\u{39A}\u{39C}\u{39D}\u{39F}\u{3A1}\u{3A4}\u{3A7}",
        "ABEZHIKMNOPTX"
      ),
    ]
    for (script, foreign, latin) in alphabets {
      for (scalar, plain) in zip(foreign.unicodeScalars, latin) { letters[scalar] = (script, plain) }
    }
    return letters
  }()

  /// The text with each misleading character replaced by the one that it looks like.
  static func plainText(of text: String) -> String {
    guard text.utf8.contains(where: { $0 >= 0x80 }) else { return text }
    return text.unicodeScalars.map { Lookalike($0)?.plain ?? String($0) }.joined()
  }

  /// The first misleading character of a text, and its offset in the text.
  ///
  /// A letter of another alphabet counts only in a word with Latin letters, because whole words of that alphabet are not
  /// misleading.
  static func first(in text: String) -> (offset: Int, Lookalike)? {
    guard text.utf8.contains(where: { $0 >= 0x80 }) else { return nil }
    let scalars = Array(text.unicodeScalars)
    for (offset, scalar) in scalars.enumerated() {
      guard let found = Lookalike(scalar) else { continue }
      if scalar.properties.isAlphabetic, !(0xFF01...0xFF5E).contains(scalar.value),
        !hasLatinNeighbour(scalars, offset)
      {
        continue
      }
      return (offset, found)
    }
    return nil
  }

  private static func hasLatinNeighbour(_ scalars: [Unicode.Scalar], _ offset: Int) -> Bool {
    func reaches(_ numbers: some Sequence<Int>) -> Bool {
      for number in numbers {
        guard scalars[number].properties.isAlphabetic else { return false }
        if scalars[number].isASCII { return true }
      }
      return false
    }
    // Only near the character: a long text must not take quadratic time.
    return reaches((offset + 1)..<min(scalars.count, offset + 64))
      || reaches((max(0, offset - 64)..<offset).reversed())
  }

  /// Whether it looks like a space, or is invisible.
  static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
    guard let found = Lookalike(scalar) else { return false }
    return found.plain == " " || found.plain.isEmpty
  }
}
