import Bytes
import JSON

/// A plain word that YAML 1.1 and YAML 1.2, or different readers, read as different values.
struct AmbiguousScalar {
  enum Kind {
    case truth
    case octal
    case sexagesimal
    case separated
    /// In base 16, 8 or 2.
    case based
    /// With a sign or a point that JSON does not allow there.
    case loose
    case null
    case date
    case notANumber
  }

  enum Place {
    case text
    case number
    /// A value that becomes JSON with its own type.
    case json
  }

  let kind: Kind
  private let text: String

  init?(_ text: String) {
    self.text = text
    let bytes = Array(text.utf8)
    func areDigits(_ bytes: some Collection<UInt8>) -> Bool {
      !bytes.isEmpty && bytes.allSatisfy(\.isDigit)
    }
    if ["y", "n", "yes", "no", "on", "off", "true", "false"].contains(text.lowercased()) {
      kind = .truth
    } else if text == "~" || text.isEmpty || text.lowercased() == "null" {
      kind = .null
    } else if bytes.count > 1, bytes[0] == UInt8(ascii: "0"), areDigits(bytes) {
      kind = .octal
    } else if text.contains(":"),
      text.split(separator: ":", omittingEmptySubsequences: false).allSatisfy({ areDigits($0.utf8) })
    {
      kind = .sexagesimal
    } else if Self.isBasedNumber(text) {
      kind = .based
    } else if Self.isLooseNumber(text) {
      kind = .loose
    } else if text.contains("_"), areDigits(text.utf8.filter { $0 != UInt8(ascii: "_") }),
      bytes[0] != UInt8(ascii: "_")
    {
      kind = .separated
    } else if [".inf", "-.inf", ".nan"].contains(text.lowercased()) {
      kind = .notANumber
    } else if bytes.count == 10, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
      areDigits(bytes[0..<4]), areDigits(bytes[5..<7]), areDigits(bytes[8..<10])
    {
      kind = .date
    } else {
      return nil
    }
  }

  /// A scalar without quotes, where it is trouble at this place.
  init?(_ scalar: Node.Scalar, where place: Place) {
    guard scalar.style == .plain, let found = AmbiguousScalar(scalar.text), found.isTrouble(where: place)
    else { return nil }
    self = found
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

  /// `+5`, `.5`, `5.`, `-01`.
  private static func isLooseNumber(_ text: String) -> Bool {
    text.utf8.allSatisfy { "0123456789+-.eE".utf8.contains($0) } && Double(text) != nil
      && JSON.readNumber(text) == .notANumber
  }

  /// The text after "which".
  var meaning: String {
    switch kind {
    case .truth: "many YAML readers read as true or false"
    case .octal: "YAML 1.1 readers read as an octal number"
    case .sexagesimal: "YAML 1.1 readers read as a number in base 60"
    case .separated: "YAML 1.1 readers read as a number with separators"
    case .based: "YAML readers read as a number in another base"
    case .loose: "YAML readers read as a number, but JSON writes differently"
    case .null: "YAML readers read as null"
    case .date: "YAML readers read as a date"
    case .notANumber: "YAML readers read as infinity or \"not a number\""
    }
  }

  /// Whether to report it at this place. A date or an octal number, for example, is fine as text.
  private func isTrouble(where place: Place) -> Bool {
    switch (kind, place) {
    case (.truth, _), (.octal, _), (.sexagesimal, _): true
    case (.separated, .number), (.separated, .json), (.based, .number), (.based, .json): true
    case (.loose, .json), (.null, .text), (.null, .json), (.date, .number): true
    case (.notANumber, .number), (.notANumber, .json): true
    case (.separated, .text), (.based, .text), (.loose, .text), (.loose, .number): false
    case (.date, .text), (.date, .json), (.notANumber, .text), (.null, .number): false
    }
  }

  var isNumber: Bool {
    switch kind {
    case .octal, .sexagesimal, .separated, .based, .loose, .notANumber: true
    case .truth, .null, .date: false
    }
  }

  /// The number that was probably meant, in plain notation.
  var plainNumber: String? {
    switch kind {
    case .octal:
      // If all digits are zeros, one zero is left.
      String(text.dropLast().drop { $0 == "0" } + text.suffix(1))
    case .separated: text.filter { $0 != "_" }
    case .truth, .sexagesimal, .based, .loose, .null, .date, .notANumber: nil
    }
  }
}
