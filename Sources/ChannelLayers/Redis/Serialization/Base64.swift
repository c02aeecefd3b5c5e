/// RFC 4648, in both alphabets, with padding.
package enum Base64 {
  private static let plain = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let urlSafe = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
  private static let padding = UInt8(ascii: "=")

  private static let values: [UInt8] = {
    var values = [UInt8](repeating: 255, count: 256)
    for (value, letter) in urlSafe.enumerated() { values[Int(letter)] = UInt8(value) }
    return values
  }()

  package static func encode(_ bytes: [UInt8]) -> String {
    String(decoding: encode(bytes, plain), as: UTF8.self)
  }

  /// Section 5.
  static func encodeURLSafe(_ bytes: [UInt8]) -> [UInt8] { encode(bytes, urlSafe) }

  private static func encode(_ bytes: [UInt8], _ alphabet: [UInt8]) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let part = bytes[start..<min(start + 3, bytes.count)]
      let bits = part.reduce(0) { $0 << 8 | UInt32($1) } << (8 * (3 - UInt32(part.count)))
      for place in 0..<4 {
        text.append(place <= part.count ? alphabet[Int(bits >> (18 - 6 * UInt32(place)) & 63)] : padding)
      }
    }
    return text
  }

  /// - Returns: nil for what is not the URL-safe alphabet with its padding.
  static func decodeURLSafe(_ text: [UInt8]) -> [UInt8]? {
    guard text.count.isMultiple(of: 4), !text.isEmpty else { return nil }
    let letters = text.suffix(2).count { $0 == padding }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3)
    for start in stride(from: 0, to: text.count, by: 4) {
      var bits: UInt32 = 0
      for place in start..<(start + 4) {
        let isPadding = place >= text.count - letters
        let value = isPadding ? 0 : values[Int(text[place])]
        guard value < 64 else { return nil }
        bits = bits << 6 | UInt32(value)
      }
      bytes += [
        UInt8(truncatingIfNeeded: bits >> 16), UInt8(truncatingIfNeeded: bits >> 8),
        UInt8(truncatingIfNeeded: bits),
      ]
    }
    return bytes.dropLast(letters)
  }
}
