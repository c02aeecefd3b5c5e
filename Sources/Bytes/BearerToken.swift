/// A token in an `Authorization` field: `Bearer TOKEN` (RFC 6750 section 2.1), or with another scheme.
package enum BearerToken {
  /// The scheme in lower case.
  package static let scheme = "bearer"

  /// The token of a field's value; nil for another scheme, and for a scheme without a token. The name of the scheme is
  /// case-insensitive (RFC 9110 section 11.4).
  ///
  /// - Parameters:
  ///   - field: without white space around it.
  ///   - scheme: in lower case.
  package static func read(_ field: String, scheme: String = scheme) -> String? {
    let rest = field.utf8.dropFirst(scheme.utf8.count)
    guard rest.first == UInt8(ascii: " "), field.beginsIgnoringCase(with: scheme) else { return nil }
    let token = rest.drop { $0 == UInt8(ascii: " ") }
    return token.isEmpty ? nil : String(Substring(token))
  }
}

extension String {
  /// Whether the text begins with a word of ASCII in any case.
  ///
  /// - Parameter word: in lower case.
  package func beginsIgnoringCase(with word: String) -> Bool {
    // Views of bytes: this is asked for each handshake, and iterators of strings take ten times as many instructions.
    let (bytes, expected) = (utf8Span.span, word.utf8Span.span)
    guard bytes.count >= expected.count else { return false }
    return expected.indices.allSatisfy { place in
      let byte = bytes[place]
      return expected[place] == (byte.isLetter ? byte | 0x20 : byte)
    }
  }
}
