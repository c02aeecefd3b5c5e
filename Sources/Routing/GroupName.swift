import Bytes

/// The names of groups: 1 to 99 characters of `A-Z a-z 0-9 . _ -` (Django: `BaseChannelLayer.valid_group_name`).
package enum GroupName {
  package static let longest = 99

  /// The prefix of the names that are reserved for the gateway.
  package static let reservedPrefix = "sluice."

  package static func isLegal(_ byte: UInt8) -> Bool {
    byte.isLetterOrDigit || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
      || byte == UInt8(ascii: "-")
  }

  /// Whether clients may join a group of this name: it is valid and not reserved.
  package static func isOpen(_ name: String) -> Bool {
    (1...longest).contains(name.utf8.count) && name.utf8.allSatisfy(isLegal)
      && !name.hasPrefix(reservedPrefix)
  }
}
