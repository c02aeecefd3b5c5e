/// The names of groups: 1 to 99 characters of `A-Z a-z 0-9 . _ -` (Django: `BaseChannelLayer.valid_group_name`).
package enum GroupName {
  package static let longest = 99

  /// The prefix of the names that are reserved for the gateway.
  package static let reservedPrefix = "sluice."

  package static func isLegal(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  /// Whether clients may join a group of this name: it is valid and not reserved.
  package static func isOpen(_ name: String) -> Bool {
    (1...longest).contains(name.utf8.count) && name.utf8.allSatisfy(isLegal)
      && !name.hasPrefix(reservedPrefix)
  }
}
