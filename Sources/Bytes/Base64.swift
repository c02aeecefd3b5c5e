/// Base64 in both alphabets (RFC 4648).
package enum Base64 {
  private static let plain = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let urlSafe = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
  private static let padding = UInt8(ascii: "=")

  private static let plainValues = values(plain)
  private static let urlSafeValues = values(urlSafe)

  private static func values(_ alphabet: [UInt8]) -> [UInt8] {
    var values = [UInt8](repeating: 255, count: 256)
    for (value, letter) in alphabet.enumerated() { values[Int(letter)] = UInt8(value) }
    return values
  }

  package static func encode(_ bytes: [UInt8]) -> String {
    String(decoding: encoded(bytes), as: UTF8.self)
  }

  package static func encoded(_ bytes: [UInt8]) -> [UInt8] { encode(bytes, plain) }

  /// Section 5.
  package static func encodeURLSafe(_ bytes: [UInt8]) -> [UInt8] { encode(bytes, urlSafe) }

  /// Section 5, without padding, as in tokens (RFC 7515 section 2).
  package static func encodeToken(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    Array(encode(Array(bytes), urlSafe).prefix { $0 != padding })
  }

  private static func encode(_ bytes: [UInt8], _ alphabet: [UInt8]) -> [UInt8] {
    var text = [UInt8](repeating: padding, count: (bytes.count + 2) / 3 * 4)
    let whole = bytes.count / 3
    for group in 0..<whole {
      let (start, place) = (group * 3, group * 4)
      let bits = UInt32(bytes[start]) << 16 | UInt32(bytes[start + 1]) << 8 | UInt32(bytes[start + 2])
      text[place] = alphabet[Int(bits >> 18)]
      text[place + 1] = alphabet[Int(bits >> 12 & 63)]
      text[place + 2] = alphabet[Int(bits >> 6 & 63)]
      text[place + 3] = alphabet[Int(bits & 63)]
    }
    let rest = bytes.count - whole * 3
    guard rest > 0 else { return text }
    // The padding that the text was filled with follows.
    let bits = UInt32(bytes[whole * 3]) << 16 | (rest > 1 ? UInt32(bytes[whole * 3 + 1]) << 8 : 0)
    for letter in 0...rest {
      text[whole * 4 + letter] = alphabet[Int(bits >> (18 - 6 * UInt32(letter)) & 63)]
    }
    return text
  }

  /// - Returns: nil for any text that `encode` would not write, including set bits after the end, so that each value has one
  ///   text.
  package static func decode(_ text: [UInt8]) -> [UInt8]? {
    guard let letters = unpadded(text), let read = read(letters, plainValues), read.rest == 0 else {
      return nil
    }
    return read.bytes
  }

  /// Section 5, without padding, as in tokens (RFC 7515 section 2).
  ///
  /// - Returns: nil for any text that an encoder would not write, including set bits after the end.
  package static func decodeToken(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    guard let read = read(text, urlSafeValues), read.rest == 0 else { return nil }
    return read.bytes
  }

  /// Section 5, with padding, as in Fernet. Its own decoder ignores set bits after the end.
  ///
  /// - Returns: nil if the text is empty, or is not in the URL-safe alphabet with its padding.
  package static func decodeURLSafe(_ text: [UInt8]) -> [UInt8]? {
    guard !text.isEmpty, let letters = unpadded(text) else { return nil }
    return read(letters, urlSafeValues)?.bytes
  }

  /// Either alphabet, with or without padding, as people write it. Set bits after the end are ignored.
  ///
  /// - Returns: nil if the text has a character of another alphabet, more than two `=`, or a single letter at its end.
  package static func decodeWritten(_ text: [UInt8], isURLSafe: Bool) -> [UInt8]? {
    let count = text.reversed().prefix { $0 == padding }.count
    guard count <= 2 else { return nil }
    return read(text.dropLast(count), isURLSafe ? urlSafeValues : plainValues)?.bytes
  }

  /// Whether the byte is of the alphabet of section 4, without the padding.
  package static func isDigit(_ byte: UInt8) -> Bool {
    byte.isLetterOrDigit || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "/")
  }

  private static func unpadded(_ text: [UInt8]) -> ArraySlice<UInt8>? {
    guard text.count.isMultiple(of: 4) else { return nil }
    return text.dropLast(text.suffix(2).reversed().prefix { $0 == padding }.count)
  }

  /// - Returns: the bytes, and the bits after the last of them; nil if no bytes have this text.
  private static func read(_ letters: ArraySlice<UInt8>, _ values: [UInt8]) -> (bytes: [UInt8], rest: UInt32)?
  {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(letters.count * 3 / 4)
    var bits: UInt32 = 0
    var count: UInt32 = 0
    for letter in letters {
      let value = values[Int(letter)]
      guard value < 64 else { return nil }
      bits = bits << 6 | UInt32(value)
      count += 6
      guard count >= 8 else { continue }
      count -= 8
      bytes.append(UInt8(truncatingIfNeeded: bits >> count))
      bits &= (1 << count) - 1
    }
    // A single letter does not make a byte.
    return count < 6 ? (bytes, bits) : nil
  }
}
