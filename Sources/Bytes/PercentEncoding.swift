/// Bytes in a URL: those that it cannot contain are a `%` and two hexadecimal digits (RFC 3986 section 2.1).
package enum PercentEncoding {
  /// What a `+` stands for.
  package enum Plus: Sendable {
    /// The `+` itself, as in a path.
    case plus
    /// A space, as in the query of an HTML form (the URL standard, section 5.1).
    case space
  }

  /// Decodes text in which every `%` must be right.
  ///
  /// - Returns: nil if two hexadecimal digits do not follow a `%`.
  package static func decode(_ text: some Collection<UInt8>, plus: Plus = .plus) -> [UInt8]? {
    decode(Array(text), plus: plus)
  }

  /// The same, for callers that have an array: making one of any collection takes longer than the rest.
  package static func decode(_ text: [UInt8], plus: Plus = .plus) -> [UInt8]? {
    decode(text, plus, keepsOtherPercents: false)
  }

  /// Decodes text in which a `%` that two hexadecimal digits do not follow stands for itself.
  package static func decodeLeniently(_ text: some Collection<UInt8>) -> [UInt8] {
    decode(Array(text), .plus, keepsOtherPercents: true) ?? []
  }

  private static func decode(
    _ text: [UInt8], _ plus: Plus, keepsOtherPercents: Bool
  ) -> [UInt8]? {
    guard text.contains(UInt8(ascii: "%")) || plus == .space else { return text }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count)
    var index = 0
    while index < text.count {
      let byte = text[index]
      index += 1
      switch byte {
      case UInt8(ascii: "%"):
        if index + 1 < text.count, let high = text[index].hexadecimalValue,
          let low = text[index + 1].hexadecimalValue
        {
          bytes.append(high << 4 | low)
          index += 2
        } else {
          guard keepsOtherPercents else { return nil }
          bytes.append(byte)
        }
      case UInt8(ascii: "+") where plus == .space: bytes.append(UInt8(ascii: " "))
      default: bytes.append(byte)
      }
    }
    return bytes
  }

  /// The bytes as text, where those that are not kept are encoded.
  package static func encode(_ bytes: [UInt8], keeping isKept: (UInt8) -> Bool) -> String {
    var encoded: [UInt8] = []
    encoded.reserveCapacity(bytes.count)
    for byte in bytes {
      if isKept(byte) {
        encoded.append(byte)
      } else {
        let digits = byte.hexadecimalDigits(uppercase: true)
        encoded += [UInt8(ascii: "%"), digits.0, digits.1]
      }
    }
    return String(decoding: encoded, as: UTF8.self)
  }
}

extension String {
  /// The text as a path of a URL: unreserved characters and `/` stay (RFC 3986 section 3.3).
  package var percentEncodedPath: String {
    PercentEncoding.encode(Array(utf8)) { $0.isLetterOrDigit || "-._~/".utf8.contains($0) }
  }

  /// The text as one segment of a URL's path, or as a value in its query: only unreserved characters stay (RFC 3986 section 2.3).
  package var percentEncodedSegment: String {
    PercentEncoding.encode(Array(utf8)) { $0.isLetterOrDigit || "-._~".utf8.contains($0) }
  }

  /// The text in place of a host in a URL: only letters and digits stay, because a `/` or a `.` would have a meaning there.
  package var percentEncodedComponent: String {
    PercentEncoding.encode(Array(utf8), keeping: \.isLetterOrDigit)
  }

  /// The path of a URL with at most one slash at its start, because browsers read the text after two slashes as another host
  /// (RFC 3986 section 4.2).
  package var withOneLeadingSlash: String {
    hasPrefix("//") ? "/" + drop { $0 == "/" } : self
  }
}
