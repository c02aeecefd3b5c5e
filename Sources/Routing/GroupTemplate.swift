/// A group name with places for a route's captures and for the client's identity: `chat_{room}`, `user_{user}`.
///
/// A group name is 1 to 99 characters of `A-Z a-z 0-9 . _ -` (Django: `BaseChannelLayer.valid_group_name`).
package struct GroupTemplate: Sendable, Hashable {
  package var parts: [GroupNamePart]

  package init(parts: [GroupNamePart]) {
    self.parts = parts
  }

  /// The beginnings of `{user}` and `{claims.NAME}`.
  package static let user = "user"
  package static let claimPrefix = "claims."

  package static let longestName = 99

  package static func isLegal(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  /// Reads the notation. Literal text must be valid in a group name.
  package static func parse(_ text: String) -> Result<GroupTemplate, PatternFault> {
    var parts: [GroupNamePart] = []
    let bytes = Array(text.utf8)
    var index = 0
    func fail(_ message: String, _ range: Range<Int>, hint: String? = nil) -> Result<
      GroupTemplate, PatternFault
    > {
      .failure(PatternFault(.invalid, message, hint: hint, at: range))
    }
    guard !bytes.isEmpty else { return fail("the group name is empty", 0..<0) }
    while index < bytes.count {
      let start = index
      if bytes[index] == UInt8(ascii: "{") {
        guard let close = bytes[index...].firstIndex(of: UInt8(ascii: "}")) else {
          return fail("\"{\" is not closed by \"}\"", index..<bytes.count)
        }
        let name = String(decoding: bytes[(index + 1)..<close], as: UTF8.self)
        index = close + 1
        if name.hasPrefix(claimPrefix), name.utf8.count > claimPrefix.utf8.count {
          parts.append(.identity(name))
          continue
        }
        guard isIdentifier(name) else {
          return fail(
            "\"\(name)\" is not the name of a capture", start..<index,
            hint: "write {user} for the user, and {claims.NAME} for a claim of the token")
        }
        parts.append(.capture(name))
        continue
      }
      while index < bytes.count, bytes[index] != UInt8(ascii: "{") {
        guard isLegal(bytes[index]) else {
          return fail(
            "a group name cannot contain the character \"\(Self.character(at: index, bytes))\"",
            index..<(index + 1),
            hint: "use letters, digits, \".\", \"_\", \"-\" and {NAME} for a capture")
        }
        index += 1
      }
      parts.append(.literal(String(decoding: bytes[start..<index], as: UTF8.self)))
    }
    let literals = parts.reduce(0) { if case .literal(let text) = $1 { $0 + text.utf8.count } else { $0 } }
    guard literals <= longestName else {
      return fail("a group name has at most \(longestName) characters", 0..<bytes.count)
    }
    return .success(GroupTemplate(parts: parts))
  }

  private static func character(at index: Int, _ bytes: [UInt8]) -> String {
    String(decoding: bytes[index...].prefix(8), as: UTF8.self).first.map(String.init) ?? ""
  }

  package var captureNames: [String] { parts.captureNames }
  package var text: String { parts.text }

  /// Whether the name depends on the client's identity.
  package var isPersonal: Bool { !parts.identityFields.isEmpty }

  /// The same template with `{user}` as the client's user instead of a capture of that name.
  package var withUser: GroupTemplate { GroupTemplate(parts: parts.withUser) }

  /// The group of one session; nil if a channel layer would refuse the name: it has an invalid character, is too long, is
  /// reserved, has a capture that took no part in the match, or needs a fact about the client that is not known.
  ///
  /// - Parameter identity: the client's identity, by `user` or `claims.NAME`.
  package func name(for captures: Captures, identity: (String) -> String? = { _ in nil }) -> String? {
    var name = ""
    for part in parts {
      switch part {
      case .literal(let text): name += text
      case .capture(let capture):
        guard let value = captures[capture] else { return nil }
        name += value
      case .identity(let place):
        guard let value = identity(place), !value.isEmpty else { return nil }
        name += value
      case .anything: return nil
      }
    }
    return Self.isOpen(name) ? name : nil
  }

  /// The prefix of the group names that are reserved for the gateway.
  package static let reservedPrefix = "sluice."

  /// Whether clients may join a group of this name: it is valid and not reserved.
  package static func isOpen(_ name: String) -> Bool {
    (1...longestName).contains(name.utf8.count) && name.utf8.allSatisfy(isLegal)
      && !name.hasPrefix(reservedPrefix)
  }
}
