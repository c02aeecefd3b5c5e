import Bytes
import JSON

/// A plain word that YAML 1.1 and YAML 1.2, or different readers, read as different values.
struct AmbiguousScalar {
  enum Place: CaseIterable {
    case text
    case number
    /// A value that becomes JSON with its own type.
    case json
  }

  /// The text after "which".
  let meaning: String
  let isNumber: Bool
  private let isNull: Bool
  /// The number that was probably meant, in plain notation.
  let plainNumber: String?
  /// Where it is trouble. A date, for example, is fine as text.
  private let places: Set<Place>

  private init(
    meaning: String, in places: Set<Place> = Set(Place.allCases), isNumber: Bool = true,
    isNull: Bool = false, meant: String? = nil
  ) {
    self.meaning = meaning
    self.isNumber = isNumber
    self.isNull = isNull
    self.places = places
    plainNumber = meant
  }

  init?(_ text: String) {
    let word = text.lowercased()
    let bytes = Array(text.utf8)
    func areDigits(_ bytes: some Collection<UInt8>) -> Bool {
      !bytes.isEmpty && bytes.allSatisfy(\.isDigit)
    }
    if ["y", "n", "yes", "no", "on", "off", "true", "false"].contains(word) {
      self.init(meaning: "many YAML readers read as true or false", isNumber: false)
    } else if text == "~" || text.isEmpty || word == "null" {
      self.init(
        meaning: "YAML readers read as null", in: [.text, .json], isNumber: false, isNull: true)
    } else if bytes.count > 1, bytes[0] == UInt8(ascii: "0"), areDigits(bytes) {
      // If all digits are zeros, one zero is left.
      let meant = String(text.dropLast().drop { $0 == "0" } + text.suffix(1))
      self.init(meaning: "YAML 1.1 readers read as an octal number", meant: meant)
    } else if text.contains(":"),
      text.split(separator: ":", omittingEmptySubsequences: false).allSatisfy({ areDigits($0.utf8) })
    {
      self.init(meaning: "YAML 1.1 readers read as a number in base 60")
    } else if Self.isBasedNumber(text) {
      self.init(meaning: "YAML readers read as a number in another base", in: [.number, .json])
    } else if Self.isLooseNumber(text) {
      self.init(meaning: "YAML readers read as a number, but JSON writes differently", in: [.json])
    } else if text.contains("_"), areDigits(text.utf8.filter { $0 != UInt8(ascii: "_") }),
      bytes[0] != UInt8(ascii: "_")
    {
      self.init(
        meaning: "YAML 1.1 readers read as a number with separators", in: [.number, .json],
        meant: text.filter { $0 != "_" })
    } else if [".inf", "-.inf", ".nan"].contains(word) {
      self.init(meaning: "YAML readers read as infinity or \"not a number\"", in: [.number, .json])
    } else if bytes.count == 10, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
      areDigits(bytes[0..<4]), areDigits(bytes[5..<7]), areDigits(bytes[8..<10])
    {
      self.init(meaning: "YAML readers read as a date", in: [.number], isNumber: false)
    } else {
      return nil
    }
  }

  /// A scalar without quotes, where it is trouble at this place.
  init?(_ scalar: Node.Scalar, where place: Place) {
    guard scalar.style == .plain, let found = AmbiguousScalar(scalar.text), found.places.contains(place)
    else { return nil }
    self = found
  }

  /// What to write in place of it where a text is wanted.
  func hint(for text: String) -> String {
    if text.isEmpty { return "write a value, or remove the key" }
    let quoted = "write it in quotes: \"\(text)\""
    return isNull ? "remove the key; if it is a text, \(quoted)" : quoted
  }

  /// `0x1f`, `0o17`, `-0b11`.
  private static func isBasedNumber(_ text: String) -> Bool {
    let unsigned = text.hasPrefix("-") || text.hasPrefix("+") ? text.dropFirst() : text[...]
    guard let base = ["0x": 16, "0o": 8, "0b": 2][String(unsigned.prefix(2))], unsigned.count > 2 else {
      return false
    }
    return unsigned.dropFirst(2).allSatisfy { character in
      character == "_" || character.isASCII && character.hexDigitValue ?? base < base
    }
  }

  /// With a sign or a point that JSON does not allow there: `+5`, `.5`, `5.`, `-01`.
  private static func isLooseNumber(_ text: String) -> Bool {
    text.utf8.allSatisfy { "0123456789+-.eE".utf8.contains($0) } && Double(text) != nil
      && JSON.readNumber(text) == .notANumber
  }
}
