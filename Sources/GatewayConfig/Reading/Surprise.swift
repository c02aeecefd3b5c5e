/// A plain word that YAML 1.1 and 1.2, or different readers, take for different things.
struct Surprise {
  enum Kind {
    case truth
    case octal
    case sexagesimal
    case separated
    case null
    case date
    case notANumber
  }

  enum Place {
    case text
    case number
  }

  let kind: Kind
  private let text: String

  init?(_ text: String) {
    self.text = text
    let bytes = Array(text.utf8)
    func areDigits(_ bytes: some Collection<UInt8>) -> Bool {
      !bytes.isEmpty && bytes.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
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

  /// Behind "which".
  var meaning: String {
    switch kind {
    case .truth: "many YAML readers take for true or false"
    case .octal: "YAML 1.1 readers take for an octal number"
    case .sexagesimal: "YAML 1.1 readers take for a number to the base of 60"
    case .separated: "YAML 1.1 readers take for a number with separators"
    case .null: "YAML readers take for nothing"
    case .date: "YAML readers take for a date"
    case .notANumber: "YAML readers take for a number that is none"
    }
  }

  /// A date or an octal number is good text.
  func isTrouble(where place: Place) -> Bool {
    switch (kind, place) {
    case (.truth, _), (.octal, _), (.sexagesimal, _), (.separated, .number), (.null, .text): true
    case (.date, .number), (.notANumber, .number): true
    case (.separated, .text), (.date, .text), (.notANumber, .text), (.null, .number): false
    }
  }

  /// How the number that was probably meant is written.
  var plainNumber: String? {
    switch kind {
    case .octal: String(text.drop { $0 == "0" })
    case .separated: text.filter { $0 != "_" }
    case .truth, .sexagesimal, .null, .date, .notANumber: nil
    }
  }
}
