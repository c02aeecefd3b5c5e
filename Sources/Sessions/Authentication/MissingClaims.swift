import GatewayConfig
import JSON
import Routing

// Why claims do not do, in words for the log. They name the members that exist, but repeat no value of the client's except `true`,
// `false` and `null`.

extension JSON {
  private static let mostNames = 12
  private static let longestName = 40

  /// Why no user was found among these members: `it has no "user" and no "id"; it has "username", "email"`.
  func whyNoUser(among names: [String], as type: UserType? = nil) -> String {
    if let name = names.first(where: { claim($0).map { $0 != .null } ?? false }), let value = claim(name) {
      if let type, userName(among: names) != nil {
        return "\"\(Self.shown(name))\" is not \(type.words), and \"user\" says \"as: \(type.rawValue)\""
      }
      return "\"\(Self.shown(name))\" \(value.whyNoName), and one text or whole number is needed"
    }
    if let name = names.first(where: { claim($0) == .null }) {
      return "\"\(Self.shown(name))\" is null, and one text or whole number is needed"
    }
    let wanted = names.map { "no \"\(Self.shown($0))\"" }.joined(separator: " and ")
    return "it has \(wanted); \(memberNames)"
  }

  private var memberNames: String {
    guard case .object(let members) = self, !members.isEmpty else { return "it has no members" }
    let shown = members.prefix(Self.mostNames).map { "\"\(Self.shown($0.key))\"" }.joined(separator: ", ")
    let others = members.count - Self.mostNames
    return "it has \(shown)" + (others > 0 ? " and \(others) others" : "")
  }

  private var whyNoName: String {
    switch self {
    case .string(let text) where text.isEmpty: "is empty"
    case .string: "has more than 255 bytes"
    default: kindInWords
    }
  }

  /// `is a list`, for a sentence about a member.
  var kindInWords: String {
    switch self {
    case .null: "is null"
    case .bool(let value): "is \(value)"
    case .string: "is text"
    case .integer, .unsigned: "is a number"
    case .double: "is a number with a fraction"
    case .array: "is a list"
    case .object: "is an object"
    }
  }

  static func shown(_ name: String) -> String {
    let short = String(decoding: name.utf8.prefix(longestName), as: UTF8.self)
    return name.utf8.count > longestName ? short + "…" : short
  }
}

extension UserType {
  fileprivate var words: String {
    switch self {
    case .int: "a whole number without zeros before it"
    case .uuid: "a UUID in lower case"
    }
  }
}

extension Requirement {
  private static let mostFaults = 4

  /// Why it does not hold: `"is_staff" is false, and true is required`.
  ///
  /// - Parameters:
  ///   - source: of the claims: `the token`, or `the answer of "site"`.
  ///   - captures: of the path.
  func fault(in claims: JSON, of source: String, for captures: Captures) -> String {
    switch self {
    case .claim(let requirement): return requirement.fault(in: claims, of: source)
    case .any(let alternatives):
      let faults = alternatives.prefix(Self.mostFaults).map {
        $0.fault(in: claims, of: source, for: captures)
      }
      return "none of \"any\" holds: \(faults.joined(separator: "; "))"
    case .all(let parts):
      let missing = parts.first { !$0.holds(in: claims, for: captures) } ?? parts[0]
      return missing.fault(in: claims, of: source, for: captures)
    }
  }
}

extension ClaimRequirement {
  fileprivate func fault(in claims: JSON, of source: String) -> String {
    let wanted = description.dropFirst("\(claim) = ".count)
    switch claims.claim(claim) {
    case nil: return "\"\(claim)\" is missing from \(source), and \(wanted) is required"
    case .array: return "the list \"\(claim)\" in \(source) does not contain \(wanted)"
    case .string: return "\"\(claim)\" in \(source) is another text, and \(wanted) is required"
    case .integer, .unsigned, .double:
      return "\"\(claim)\" in \(source) is another number, and \(wanted) is required"
    case let value?: return "\"\(claim)\" in \(source) \(value.kindInWords), and \(wanted) is required"
    }
  }
}
