import Bytes

/// The names of groups: 1 to 99 characters of `A-Z a-z 0-9 . _ -` (Django: `BaseChannelLayer.valid_group_name`).
package enum GroupName {
  package static let longest = 99

  /// The prefix of the names that are reserved for the gateway.
  package static let reservedPrefix = "sluice."

  package static func isLegal(_ byte: UInt8) -> Bool {
    isPlain(byte) || byte == escape
  }

  /// Whether clients may join a group of this name: it is valid and not reserved.
  package static func isOpen(_ name: String) -> Bool {
    let bytes = name.utf8Span.span
    return (1...longest).contains(bytes.count) && bytes.indices.allSatisfy { isLegal(bytes[$0]) }
      && !name.hasPrefix(reservedPrefix)
  }
}

// MARK: - Any text as a part of a name

extension GroupName {
  /// What an escaped byte begins with.
  static let escape = UInt8(ascii: ".")

  /// Whether the byte stands for itself in an escaped text.
  static func isPlain(_ byte: UInt8) -> Bool {
    byte.isLetterOrDigit || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
  }

  /// The text with `.` and two upper-case hexadecimal digits in place of every byte of its UTF-8 that is no letter, no digit, no `_`
  /// and no `-`: `ann.40example.2Ecom`. Different texts stay different.
  package static func escaped(_ text: String) -> String {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      if isPlain(byte) {
        bytes.append(byte)
      } else {
        let digits = byte.hexadecimalDigits(uppercase: true)
        bytes += [escape, digits.0, digits.1]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The text that was escaped; nil if there is none.
  static func unescaped(_ name: String) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(name.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == escape else {
        bytes.append(byte)
        continue
      }
      guard let value = UInt8(hexadecimal: String(decoding: rest.prefix(2), as: UTF8.self)) else {
        return nil
      }
      rest = rest.dropFirst(2)
      bytes.append(value)
    }
    guard let text = String(validating: bytes, as: UTF8.self), escaped(text) == name else { return nil }
    return text
  }
}
