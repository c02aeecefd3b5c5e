/// A part of a list: `name=value`, or a name alone. Parameters of a query and cookies are such lists.
package struct NamedValue: Sendable, Equatable {
  package let name: Substring
  /// The text after the first `=`; nil if there is none.
  package let value: Substring?

  /// Cuts at the first `=`. Compares bytes, because a combining mark after the `=` belongs to the value.
  package init(_ text: Substring) {
    let mark = text.utf8.firstIndex(of: UInt8(ascii: "="))
    name = text[..<(mark ?? text.endIndex)]
    value = mark.map { text[text.utf8.index(after: $0)...] }
  }

  /// The parameters of a query (`a=1&b=2`), neither decoded nor checked. Empty ones are left out.
  ///
  /// - Parameter query: the text after the `?`; nil if there is none.
  package static func parameters(of query: String?) -> [NamedValue] {
    (query ?? "").utf8.split(separator: UInt8(ascii: "&")).map { NamedValue(Substring($0)) }
  }

  /// The cookies of one `Cookie` field (RFC 6265 section 4.2.1): `a=1; b=2`.
  package static func cookies(of field: String) -> [NamedValue] {
    field.utf8.split(separator: UInt8(ascii: ";")).map { cookie in
      NamedValue(Substring(cookie.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }))
    }
  }

  /// Whether it has this name, byte for byte.
  package func isNamed(_ name: String) -> Bool { self.name.utf8.elementsEqual(name.utf8) }
}
