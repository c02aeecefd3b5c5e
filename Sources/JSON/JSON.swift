import Bytes

/// A JSON value (RFC 8259).
///
/// Objects keep the order in which they were written.
package indirect enum JSON: Sendable, Hashable {
  case null
  case bool(Bool)
  case integer(Int64)
  /// An integer that only fits into `UInt64`.
  case unsigned(UInt64)
  /// Always finite if it was parsed.
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

  /// The value of an object's member; nil if there is none, or this is not an object.
  package subscript(key: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { ExactText(text: $0.key) == ExactText(text: key) }?.value
  }

  /// Reads one JSON text.
  ///
  /// If a key appears twice in an object, the last one counts, as in Python.
  ///
  /// - Parameters:
  ///   - depth: the most levels of nested arrays and objects.
  ///   - values: the most values, including those in arrays and objects. A value takes two bytes of text and some fifty in
  ///     memory.
  ///   - strings: the use of the strings.
  /// - Throws: `JSONFault` for any text that RFC 8259 does not allow, and for numbers that neither 64 bits nor a finite
  ///   `Double` can hold.
  package static func parse(
    _ text: RawSpan, depth: Int = 64, values: Int = .max, strings: JSONStrings = .carried
  ) throws(JSONFault) -> JSON {
    var reader = JSONReader(depth: depth, values: values, strings: strings)
    let value = try reader.readValue(text)
    try reader.end(text)
    return value
  }
}

/// The use of the strings of a foreign JSON text.
package enum JSONStrings: Sendable {
  /// They are passed on.
  case carried
  /// They are compared with others. More combining marks in a row than any writing system has are a fault then.
  case compared
}

// Strings are equal only if their code points are the same, like names (`ExactText`). Comparing by `String`'s normal forms
// would take quadratic time for hostile text.
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

/// Why a text is not JSON, or not the expected JSON, and where.
package struct JSONFault: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong, in a few words.
  package var message: String
  /// In bytes from the start.
  package var offset: Int
  /// Whether the text may be valid JSON, but has an unexpected type or a number that does not fit.
  package var isOfJSON = false
  /// What to do about it; nil if the message is enough.
  package var remedy: String?

  /// The text after "is": `not JSON: a colon is missing at byte 4`.
  package var description: String {
    (isOfJSON ? "" : "not JSON: ") + "\(message) at byte \(offset)" + (remedy.map { ": \($0)" } ?? "")
  }
}
