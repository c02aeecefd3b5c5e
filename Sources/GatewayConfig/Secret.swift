import Bytes

/// A secret of the configuration: bytes, which need not be text. Must never be printed.
package struct Secret: Sendable, Hashable {
  package let bytes: [UInt8]

  package init(bytes: [UInt8]) {
    self.bytes = bytes
  }

  package init(_ text: String) {
    bytes = Array(text.utf8)
  }

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
    self.bytes = isText ? Array(bytes.reversed().drop { $0 == 0x0A || $0 == 0x0D }.reversed()) : bytes
  }
}

extension Secret {
  /// No secret begins so but one that stands for another one.
  private static let standIn = "sluice.stand-in."

  /// What stands for a secret that is not there: another one for each name. It is long enough for every use, and has only characters that
  /// a token may have.
  init(standingFor name: String) {
    self.init(Self.standIn + name.utf8.hexadecimal + "." + String(repeating: "0", count: 64))
  }

  var isStandIn: Bool { bytes.starts(with: Self.standIn.utf8) }
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
      let digits = text.compactMap(\.hexadecimalValue)
      guard digits.count == text.count, digits.count.isMultiple(of: 2) else { return nil }
      return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    case .base64: return Base64.decodeWritten(text, isURLSafe: false)
    case .base64url: return Base64.decodeWritten(text, isURLSafe: true)
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
    guard digits.allSatisfy({ $0.hexadecimalValue != nil }) else { return nil }
    if hasPrefix { return ("begins with \"0x\", which is not a part of hex", "remove the \"0x\"") }
    guard !digits.count.isMultiple(of: 2) else { return nil }
    let found = "has \(digits.count) hex digits, and a byte is two of them"
    return (found, "look whether a digit is missing, or one is too many")
  }
}
