// JSON as Swift writes it: `["type": "object", "required": ["name"]]`.

extension JSON: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral {
  package init(stringLiteral text: String) { self = .string(text) }
  package init(booleanLiteral truth: Bool) { self = .bool(truth) }
}

extension JSON: ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral {
  package init(arrayLiteral items: JSON...) { self = .array(items) }

  /// In the order in which the members are written.
  package init(dictionaryLiteral members: (String, JSON)...) {
    self = .object(members.map { Member(key: $0, value: $1) })
  }

  /// An object with the members of another one behind its own.
  package func with(_ more: JSON) -> JSON {
    guard case .object(let members) = self, case .object(let others) = more else { return self }
    return .object(members + others)
  }

  /// An integer; the nearest one that there is for one outside of 64 bits.
  package static func number(_ value: some BinaryInteger) -> JSON { .integer(Int64(clamping: value)) }

  /// The text of a string; nil for anything else.
  package var string: String? { if case .string(let text) = self { text } else { nil } }

  /// As UTF-8, without line ends.
  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return bytes
  }

  /// As text, without line ends.
  package var text: String { String(decoding: bytes, as: UTF8.self) }
}
