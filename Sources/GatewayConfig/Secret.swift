import FoundationEssentials

/// A secret of the configuration: bytes, which need not be text. Must never be printed.
package struct Secret: Sendable, Hashable, ExpressibleByStringLiteral {
  package let bytes: [UInt8]

  package init(bytes: [UInt8]) {
    self.bytes = bytes
  }

  package init(_ text: String) {
    bytes = Array(text.utf8)
  }

  package init(stringLiteral text: String) {
    self.init(text)
  }

  /// Whether the last byte is NUL. HMAC fills a short key up with NUL bytes (RFC 2104 section 2), so the same key without them
  /// makes the same signatures; a key of nothing but NUL bytes is the empty key.
  var endsInNUL: Bool { bytes.last == 0 }

  /// Nil if the bytes are not UTF-8.
  package var text: String? { String(validating: bytes, as: UTF8.self) }

  /// Reads the contents of a secret file or of a variable.
  ///
  /// Editors and `echo` end a text with a line feed, which is not part of the secret. In binary secrets the same byte may be
  /// part of the secret, so nothing is dropped from them.
  init(file bytes: [UInt8]) {
    let isText =
      String(validating: bytes, as: UTF8.self) != nil
      && bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
    guard isText else {
      self.bytes = bytes
      return
    }
    self.bytes = Array(bytes.reversed().drop { $0 == 0x0A || $0 == 0x0D }.reversed())
  }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "(secret)" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}

/// `encoding:` of a secret: how its bytes are encoded as text.
enum SecretEncoding: String, CaseIterable {
  /// RFC 4648 section 4, with or without padding.
  case base64
  /// RFC 4648 section 5, with or without padding: `k` of a JSON Web Key (RFC 7518 section 6.4.1).
  case base64url
  /// RFC 4648 section 8, in upper or lower case.
  case hex

  /// White space around the text and in it is ignored, because `base64` and `xxd` break lines.
  ///
  /// - Returns: nil if the text is not valid in this encoding.
  func decode(_ text: [UInt8]) -> [UInt8]? {
    let text = text.filter { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
    switch self {
    case .hex:
      guard text.count.isMultiple(of: 2), text.allSatisfy({ Self.digit($0) != nil }) else { return nil }
      return stride(from: 0, to: text.count, by: 2).map {
        (Self.digit(text[$0]) ?? 0) << 4 | (Self.digit(text[$0 + 1]) ?? 0)
      }
    case .base64: return Self.decode(base64: text)
    case .base64url:
      guard !text.contains(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "/") }) else { return nil }
      return Self.decode(
        base64: text.map {
          switch $0 {
          case UInt8(ascii: "-"): UInt8(ascii: "+")
          case UInt8(ascii: "_"): UInt8(ascii: "/")
          default: $0
          }
        })
    }
  }

  /// What is wrong with a text that is almost valid in this encoding; nil if nothing is known about it.
  ///
  /// - Returns: nothing that shows a part of the text.
  func fault(of text: [UInt8]) -> (found: String, hint: String)? {
    guard self == .hex else { return nil }
    var digits = text.filter { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }[...]
    let hasPrefix = digits.first == UInt8(ascii: "0") && [0x78, 0x58].contains(digits.dropFirst().first)
    if hasPrefix { digits = digits.dropFirst(2) }
    guard digits.allSatisfy({ Self.digit($0) != nil }) else { return nil }
    if hasPrefix { return ("begins with \"0x\", which is not a part of hex", "remove the \"0x\"") }
    return digits.count.isMultiple(of: 2)
      ? nil
      : (
        "has \(digits.count) hex digits, and a byte is two of them",
        "look whether a digit is missing, or one is too many"
      )
  }

  private static func decode(base64 text: [UInt8]) -> [UInt8]? {
    let digits = text.reversed().drop { $0 == UInt8(ascii: "=") }.reversed()
    guard text.count - digits.count <= 2 else { return nil }
    let padding = [UInt8](repeating: UInt8(ascii: "="), count: (4 - digits.count % 4) % 4)
    return Data(base64Encoded: Data(digits + padding)).map(Array.init)
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
