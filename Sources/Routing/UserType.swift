import Bytes

/// What the users of an authenticator can be called, where it says so.
package enum UserType: String, Sendable, Hashable, CaseIterable {
  /// A whole number from 0 on, without zeros before it: the primary key of a Django model.
  case int
  /// A UUID in lower case, as Python writes it.
  case uuid

  /// Whether the text is one of them. Takes time in proportion to it.
  package func admits(_ user: String) -> Bool {
    switch self {
    case .int:
      !user.isEmpty && user.utf8.allSatisfy(\.isDigit)
        && (user.utf8.count == 1 || user.utf8.first != UInt8(ascii: "0"))
    case .uuid: Self.isUUID(Array(user.utf8))
    }
  }

  private static func isUUID(_ bytes: [UInt8]) -> Bool {
    guard bytes.count == 36 else { return false }
    return bytes.enumerated().allSatisfy { place, byte in
      [8, 13, 18, 23].contains(place)
        ? byte == UInt8(ascii: "-")
        : byte.isDigit || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
  }

  /// All of them.
  var values: Expression {
    switch self {
    case .int: PathConverter.int.values
    case .uuid: PathConverter.uuid.values
    }
  }
}
