/// What a use of groups can be called, part by part: two uses with equal ones reach the same groups.
struct NameLanguage: Hashable {
  enum Part: Hashable {
    case literal(String)
    /// Legal characters only. The name of the capture tells what else takes the same value.
    case capture(String, Expression)
    case identity(String)
    case anything
  }

  let parts: [Part]
  /// What every name begins and ends with.
  let prefix: [UInt8]
  let suffix: [UInt8]

  /// - Returns: nil where a capture does not exist, which is a fault of its own.
  init?(_ use: GroupUse) {
    let path = use.router.routes[use.route]
    var parts: [Part] = []
    for part in use.parts {
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

  /// Names that begin with `sluice.` are the gateway's own.
  static let reserved = NameLanguage([.literal("sluice."), .anything])

  /// Whether what they begin and end with leaves the question open; most pairs of a large file are told apart by that.
  func mayMeet(_ other: NameLanguage) -> Bool {
    zip(prefix, other.prefix).allSatisfy(==)
      && zip(suffix.reversed(), other.suffix.reversed()).allSatisfy(==)
  }

  var fields: [String] {
    parts.compactMap { if case .identity(let field) = $0 { field } else { nil } }
  }
}

extension CharacterRanges {
  /// What a group name can be made of.
  static let legalInNames = CharacterRanges(
    (0..<128).filter { GroupTemplate.isLegal(UInt8($0)) }.map { $0...$0 })
}
