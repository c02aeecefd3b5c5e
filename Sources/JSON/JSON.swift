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
  /// - Throws: `JSONFault` for anything RFC 8259 does not allow, and for numbers that neither 64 bits nor a finite `Double`
  ///   can hold.
  package static func parse(_ text: RawSpan, depth: Int = 64, values: Int = .max) throws(JSONFault) -> JSON {
    var reader = JSONReader(depth: depth, values: values)
    let value = try reader.readValue(text)
    try reader.end(text)
    return value
  }
}

/// Why a text is not JSON, and where.
package struct JSONFault: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong, in a few words.
  package var message: String
  /// In bytes from the start.
  package var offset: Int

  package var description: String { "not JSON: \(message) at byte \(offset)" }
}
