/// A JSON value (RFC 8259).
///
/// Objects keep the order in which they were written.
package indirect enum JSON: Sendable, Hashable {
  case null
  case bool(Bool)
  case integer(Int64)
  /// An integer that only `UInt64` can hold.
  case unsigned(UInt64)
  /// A parsed one is always finite.
  case double(Double)
  case string(String)
  case array([JSON])
  /// No two members have the same key.
  case object([Member])

  package struct Member: Sendable, Hashable {
    package var key: String
    package var value: JSON

    package init(key: String, value: JSON) {
      self.key = key
      self.value = value
    }
  }

  /// The value of an object's member; nil where there is none, or this is not an object.
  package subscript(key: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { ExactText(text: $0.key) == ExactText(text: key) }?.value
  }

  /// Reads one JSON text.
  ///
  /// Where a key stands twice in an object the last one counts, as in Python.
  ///
  /// - Parameters:
  ///   - depth: how many arrays and objects may stand inside each other.
  ///   - values: how many values there may be, those in arrays and objects included. A value takes two bytes of text and some
  ///     fifty in memory.
  ///   - strings: what is going to be done with them.
  /// - Throws: `JSONFault` for anything RFC 8259 does not allow, and for numbers that neither 64 bits nor a finite `Double`
  ///   can hold.
  package static func parse(
    _ text: RawSpan, depth: Int = 64, values: Int = .max, strings: JSONStrings = .carried
  ) throws(JSONFault) -> JSON {
    var reader = JSONReader(depth: depth, values: values, strings: strings)
    let value = try reader.readValue(text)
    try reader.end(text)
    return value
  }
}

/// What the strings of a foreign JSON text are for.
package enum JSONStrings: Sendable {
  /// They are handed on.
  case carried
  /// They are compared with others: more combining marks in a row than any writing system has are a fault.
  case compared
}

// Strings are equal to the same code points only, as names are (`ExactText`). The normal forms that `String` goes by would take
// quadratic time for what somebody else has made up.
extension JSON {
  package static func == (left: JSON, right: JSON) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.bool(let left), .bool(let right)): left == right
    case (.integer(let left), .integer(let right)): left == right
    case (.unsigned(let left), .unsigned(let right)): left == right
    case (.double(let left), .double(let right)): left == right
    case (.string(let left), .string(let right)): ExactText(text: left) == ExactText(text: right)
    case (.array(let left), .array(let right)): left == right
    case (.object(let left), .object(let right)): left == right
    default: false
    }
  }

  package func hash(into hasher: inout Hasher) {
    switch self {
    case .null: hasher.combine(0)
    case .bool(let value): hasher.combine(value)
    case .integer(let value): hasher.combine(value)
    case .unsigned(let value): hasher.combine(value)
    case .double(let value): hasher.combine(value)
    case .string(let text): hasher.combine(ExactText(text: text))
    case .array(let elements): hasher.combine(elements)
    case .object(let members): hasher.combine(members)
    }
  }
}

/// Why a text is not JSON, or not the JSON that is expected, and where.
package struct JSONFault: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong, in a few words.
  package var message: String
  /// In bytes from the start.
  package var offset: Int
  /// Whether the text may well be JSON, of a kind or with a number that is not taken here.
  package var isOfJSON = false
  /// What to do about it; nil where the message says enough.
  package var remedy: String?

  /// Behind "is": `not JSON: a colon is missing at byte 4`.
  package var description: String {
    (isOfJSON ? "" : "not JSON: ") + "\(message) at byte \(offset)" + (remedy.map { ": \($0)" } ?? "")
  }
}
