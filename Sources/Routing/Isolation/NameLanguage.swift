/// The possible names of a use of groups, part by part. Two uses with equal languages reach the same groups.
struct NameLanguage: Hashable {
  enum Part: Hashable {
    case literal(String)
    /// Valid characters only. Parts with the same capture name have the same value.
    case capture(String, Expression)
    case identity(String)
    case anything
  }

  let parts: [Part]
  /// The texts that every name begins and ends with.
  let prefix: [UInt8]
  let suffix: [UInt8]

  /// - Returns: nil if a capture does not exist, which is reported separately.
  init?(_ use: GroupUse) {
    let path = use.router.routes[use.route]
    var parts: [Part] = []
    for part in use.pattern.parts {
      switch part {
      case .literal(let text): parts.append(.literal(text))
      case .identity(let field): parts.append(.identity(field))
      case .anything: parts.append(.anything)
      case .capture(let name):
        let sources = path.sources(of: name)
        guard !sources.captures.isEmpty else { return nil }
        parts.append(
          .capture(name, sources.values.withoutCaptures.withoutAssertions.limited(to: .legalInNames)))
      }
    }
    self.init(parts)
  }

  init(_ parts: [Part]) {
    self.parts = parts
    if case .literal(let text)? = parts.first { prefix = Array(text.utf8) } else { prefix = [] }
    if case .literal(let text)? = parts.last { suffix = Array(text.utf8) } else { suffix = [] }
  }

  /// Names that begin with `sluice.` are reserved for the gateway.
  static let reserved = NameLanguage([.literal(GroupName.reservedPrefix), .anything])

  /// Whether the beginnings and ends of the names allow a common one. This tells most pairs of a large file apart.
  func mayMeet(_ other: NameLanguage) -> Bool {
    zip(prefix, other.prefix).allSatisfy(==) && zip(suffix.reversed(), other.suffix.reversed()).allSatisfy(==)
  }

  var fields: [String] {
    parts.compactMap { if case .identity(let field) = $0 { field } else { nil } }
  }
}

extension CharacterRanges {
  /// The characters that are valid in a group name.
  static let legalInNames = CharacterRanges((0..<128).filter { GroupName.isLegal(UInt8($0)) }.map { $0...$0 })
}
