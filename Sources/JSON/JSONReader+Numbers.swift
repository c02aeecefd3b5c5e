import Bytes

extension JSONReader {
  /// - Throws: also for a number that neither 64 bits nor a finite `Double` can hold.
  mutating func readNumber(_ text: RawSpan) throws(JSONFault) -> JSON {
    let numeral = try skipNumeral(text)
    return try value(of: numeral, text)
  }

  mutating func skipNumber(_ text: RawSpan) throws(JSONFault) {
    let numeral = try skipNumeral(text)
    guard !numeral.isSurelyInRange else { return }
    _ = try value(of: numeral, text)
  }

  /// A number as it is written.
  fileprivate struct Numeral {
    var range: Range<Int>
    var hasFraction = false
    var hasExponent = false

    var isInteger: Bool { !hasFraction && !hasExponent }

    /// Too short to be out of range, which saves computing the value: `Int64` holds any 18 digits, and `Double` reaches beyond
    /// 10³⁰⁰.
    var isSurelyInRange: Bool {
      isInteger ? range.count <= 18 : !hasExponent && range.count <= 300
    }
  }

  fileprivate mutating func skipNumeral(_ text: RawSpan) throws(JSONFault) -> Numeral {
    let start = position
    if byte(text) == UInt8(ascii: "-") { position += 1 }
    switch byte(text) {
    case UInt8(ascii: "0")?: position += 1
    case let digit? where (UInt8(ascii: "1")...UInt8(ascii: "9")).contains(digit): try skipDigits(text)
    default:
      position = start
      throw missingValue(text)
    }
    var numeral = Numeral(range: start..<start)
    if byte(text) == UInt8(ascii: ".") {
      numeral.hasFraction = true
      position += 1
      try skipDigits(text)
    }
    if byte(text) == UInt8(ascii: "e") || byte(text) == UInt8(ascii: "E") {
      numeral.hasExponent = true
      position += 1
      if byte(text) == UInt8(ascii: "+") || byte(text) == UInt8(ascii: "-") { position += 1 }
      try skipDigits(text)
    }
    numeral.range = start..<position
    return numeral
  }

  private mutating func skipDigits(_ text: RawSpan) throws(JSONFault) {
    let start = position
    while let digit = byte(text), digit.isDigit { position += 1 }
    guard position > start else { throw fault("a digit is missing") }
  }

  fileprivate func value(of numeral: Numeral, _ text: RawSpan) throws(JSONFault) -> JSON {
    let digits = text.string(numeral.range)
    if numeral.isInteger {
      if let integer = Int64(digits) { return .integer(integer) }
      if let unsigned = UInt64(digits) { return .unsigned(unsigned) }
    } else if let double = Double(digits), double.isFinite {
      return .double(double)
    }
    throw JSONFault(
      message: numeral.isInteger
        ? "JSON with an integer that does not fit into 64 bits" : "JSON with a number that is too large",
      offset: numeral.range.lowerBound, isOfJSON: true, remedy: "send the number as a string")
  }
}

extension JSON {
  /// The result of reading a text as a number.
  package enum NumberReading: Sendable, Hashable {
    /// It is not a number in JSON's notation.
    case notANumber
    /// Neither 64 bits nor a finite `Double` can hold it.
    case outOfRange
    case number(JSON)
  }

  package static func readNumber(_ text: String) -> NumberReading {
    let bytes = Array(text.utf8)
    let span = bytes.rawBytes
    var reader = JSONReader(depth: 0)
    guard let numeral = try? reader.skipNumeral(span), reader.position == span.byteCount else {
      return .notANumber
    }
    return (try? reader.value(of: numeral, span)).map(NumberReading.number) ?? .outOfRange
  }
}
