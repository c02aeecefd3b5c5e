import Bytes

/// Names one message: 128 random bits, all but six of them, in the form of a UUID (RFC 9562 section 5.4: version 4).
enum MessageID {
  static func new() -> String {
    var bytes = (0..<2).flatMap { _ in
      let random = UInt64.random(in: 0 ... .max)
      return (0..<8).map { UInt8(truncatingIfNeeded: random >> (8 * $0)) }
    }
    bytes[6] = bytes[6] & 0x0F | 0x40
    bytes[8] = bytes[8] & 0x3F | 0x80
    let parts = [bytes[0..<4], bytes[4..<6], bytes[6..<8], bytes[8..<10], bytes[10..<16]]
    return parts.map { Array($0).hexadecimal }.joined(separator: "-")
  }
}
