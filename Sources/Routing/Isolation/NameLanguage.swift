/// The possible names of a use of groups, part by part. Two uses with equal languages reach the same groups.
struct NameLanguage: Hashable {
  enum Part: Hashable {
    case literal(String)
    /// Valid characters only. Parts with the same capture name have the same value.
    /// Where the client has to have the value in a field of its identity, `tie` is the field.
    case capture(String, Expression, GroupPattern.Form = .plain, tie: String? = nil)
    /// The same for identity fields.
    case identity(String, Expression = .anyPlaceInNames, GroupPattern.Form = .plain)
    case converted(Expression)
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
      case .literal, .converted, .anything: parts += [Part(part)].compactMap(\.self)
      case .identity(let field, let form):
        parts.append(.identity(field.asExactField, use.values(of: field, as: form), form))
      case .capture(let name, let form):
        let sources = path.sources(of: name)
        guard !sources.captures.isEmpty else { return nil }
        let values = sources.values.withoutCaptures.withoutAssertions
        parts.append(.capture(name, values.inNames(form), form, tie: use.ties[name]?.asExactField))
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
    parts.compactMap(\.field)
  }
}

extension String {
  /// The name of a field, such that names are equal only if their code points are the same: `claims.é (U+E9)`.
  fileprivate var asExactField: String {
    let others = unicodeScalars.filter { !$0.isASCII }.map {
      "U+" + String($0.value, radix: 16, uppercase: true)
    }
    return others.isEmpty ? self : "\(self) (\(others.joined(separator: " ")))"
  }
}

extension NameLanguage.Part {
  /// Nil for a place, which depends on the route.
  init?(_ part: GroupPattern.Part) {
    switch part {
    case .literal(let text): self = .literal(text)
    case .converted(let converter, _): self = .converted(converter.values.limited(to: .legalInNames))
    case .anything: self = .anything
    case .capture, .identity: return nil
    }
  }

  /// The field of the identity that tells whose names these are; nil if it is no part of an identity.
  var field: String? {
    switch self {
    case .identity(let field, _, _): field
    case .capture(_, _, _, let tie): tie
    case .literal, .converted, .anything: nil
    }
  }

  var form: GroupPattern.Form {
    switch self {
    case .capture(_, _, let form, _), .identity(_, _, let form): form
    case .literal, .converted, .anything: .plain
    }
  }
}

extension GroupUse {
  /// What a field of the identity can be in a name.
  fileprivate func values(of field: String, as form: GroupPattern.Form) -> Expression {
    if field == GroupPattern.user, let userType { return userType.values.inNames(form) }
    return switch form {
    case .plain: .anyPlaceInNames
    case .escaped: .anyEscapedInNames
    }
  }
}

extension Expression {
  /// Any text that is valid in a name, but not empty.
  static let anyPlaceInNames = Expression.repetition(
    .characters(.legalInNames), least: 1, most: nil, preference: .greedy)

  /// Any text but the empty one, escaped.
  fileprivate static let anyEscapedInNames = Expression.repetition(
    .characters(.everything), least: 1, most: nil, preference: .greedy
  ).escaped

  /// What the texts that it matches are in names. Those that are no names are left out.
  fileprivate func inNames(_ form: GroupPattern.Form) -> Expression {
    switch form {
    case .plain: limited(to: .legalInNames)
    case .escaped: escaped
    }
  }
}

extension CharacterRanges {
  /// The characters that are valid in a group name.
  static let legalInNames = CharacterRanges((0..<128).filter { GroupName.isLegal(UInt8($0)) }.map { $0...$0 })

  /// Those that stand for themselves in an escaped text, and the others.
  static let plainInNames = CharacterRanges((0..<128).filter { GroupName.isPlain(UInt8($0)) }.map { $0...$0 })
  static let escapedInNames = plainInNames.inverted
}
