import Bytes
package import JSON
package import Routing

/// What `require:` asks of a client's claims.
package indirect enum Requirement: Sendable, Hashable {
  case claim(ClaimRequirement)
  /// `any:`, one of these has to hold.
  case any([Requirement])
  /// `all:`, each of these has to hold.
  case all([Requirement])

  /// The names of the two in the file.
  static let anyName = "any"
  static let allName = "all"

  /// - Parameter captures: of the path.
  package func holds(in claims: JSON, for captures: Captures) -> Bool {
    switch self {
    case .claim(let requirement): requirement.holds(in: claims, for: captures)
    case .any(let alternatives): alternatives.contains { $0.holds(in: claims, for: captures) }
    case .all(let parts): parts.allSatisfy { $0.holds(in: claims, for: captures) }
    }
  }

  /// Its key in the mapping. Where a route gives one anew, that of the mappings around it does not hold.
  var key: String {
    switch self {
    case .claim(let requirement): requirement.claim
    case .any: Self.anyName
    case .all: Self.allName
    }
  }

  /// The captures that it compares claims with.
  var captureNames: [String] {
    switch self {
    case .claim(let requirement): requirement.values.compactMap(\.capture)
    case .any(let parts), .all(let parts): parts.flatMap(\.captureNames)
    }
  }
}

/// One entry of `require:`: a claim must be one of some values, or a list that contains one of them; in a claim that is a text of
/// words, one of the words is enough.
package struct ClaimRequirement: Sendable, Hashable {
  package enum Value: Sendable, Hashable {
    case constant(JSON)
    /// `"{room}"`, what the path captured.
    case capture(String)

    var capture: String? { if case .capture(let name) = self { name } else { nil } }

    func equals(_ claim: JSON, _ captures: Captures) -> Bool {
      switch self {
      case .constant(let value): value == claim
      case .capture(let name): captures[name].map(claim.isWritten) ?? false
      }
    }
  }

  package var claim: String
  package var values: [Value]

  /// Claims whose text is a list with spaces between its elements: RFC 8693 section 4.2, and the name that Microsoft gives it.
  private static let claimsOfWords: Set = ["scope", "scp"]

  package func holds(in claims: JSON, for captures: Captures) -> Bool {
    switch claims.claim(claim) {
    case nil: false
    case .array(let elements)?: elements.contains { isMet(by: $0, captures) }
    case .string(let text)? where Self.claimsOfWords.contains(claim):
      isMet(by: .string(text), captures)
        || text.split(separator: " ").contains { isMet(by: .string(String($0)), captures) }
    case let value?: isMet(by: value, captures)
    }
  }

  private func isMet(by claim: JSON, _ captures: Captures) -> Bool {
    values.contains { $0.equals(claim, captures) }
  }
}

extension JSON {
  /// Whether a path can name the value with this text: a text as it is, and a whole number in decimal digits without zeros before
  /// them. Truth values, null and everything else have no text.
  fileprivate func isWritten(as text: String) -> Bool {
    switch self {
    case .string(let own): ExactText(text: own) == ExactText(text: text)
    case .integer(let number): String(number) == text
    case .unsigned(let number): String(number) == text
    case .null, .bool, .double, .array, .object: false
    }
  }
}

// MARK: - For the proof of isolation

extension ClientRule {
  fileprivate static let permissionMark = "permission of "
  fileprivate static let callbackMark = "callback of "

  /// Whether the `auth` decides itself, by what the path captured.
  var isOfCallback: Bool {
    if case .other(let words, _) = self { words.text.hasPrefix(Self.callbackMark) } else { false }
  }

  /// Whether a view decides.
  var isPermission: Bool {
    if case .other(let words, _) = self { words.text.hasPrefix(Self.permissionMark) } else { false }
  }
}

extension AdmittedClients {
  /// Behind the name of the `auth` of a route that a view lets anonymous clients into.
  static let optionalMark = " (optional)"

  /// The clients that a route admits: every client if it has no `auth`.
  ///
  /// - Parameters:
  ///   - pattern: of the groups.
  ///   - ties: the captures that the names of the groups tie to a claim, which the proof takes into account there.
  ///   - route: an identification of the route.
  init(_ auth: RouteAuth?, of pattern: GroupPattern, ties: [String: String] = [:], route: String) {
    guard let auth else {
      self = .everyone
      return
    }
    var require: [ExactText: Set<ExactText>] = [:]
    var also: Set<ClientRule> = []
    for rule in auth.requirements.flatMap(\.conjunction) where !rule.isTied(by: ties) {
      if case .claim(let claim, let values) = rule.clientRule(of: route), require[claim] == nil {
        require[claim] = values
      } else {
        also.insert(rule.clientRule(of: route))
      }
    }
    if let rule = auth.permissionRule(pattern, route: route) { also.insert(rule) }
    if let callback = auth.placedCallback {
      also.insert(
        .other(
          ExactText(text: ClientRule.callbackMark + callback.shownURL),
          route: auth.place(of: callback, pattern, route: route)))
    }
    self = .authenticated(by: auth.name, require: require, also: also)
  }

  /// Those of a route with `auth_optional`: every client, unless a view is asked about anonymous ones too.
  init(withAnonymous auth: RouteAuth, of pattern: GroupPattern, route: String) {
    guard let rule = auth.permissionRule(pattern, route: route) else {
      self = .everyone
      return
    }
    self = .authenticated(by: auth.name + Self.optionalMark, also: [rule])
  }
}

extension RouteAuth {
  fileprivate func permissionRule(_ pattern: GroupPattern, route: String) -> ClientRule? {
    guard let permission else { return nil }
    let question = permission.question
    let shown = "\(question.headers) \(permission.claims?.description ?? "")"
    return .other(
      ExactText(text: ClientRule.permissionMark + question.shownURL),
      route: question.places.isEmpty
        ? RulePlace(route: shown) : place(of: question, pattern, route: route, shown))
  }

  /// Where a question about captures is the same: on the same route, and wherever a group's name says what the captures are.
  fileprivate func place(
    of question: QuestionConfiguration, _ pattern: GroupPattern, route: String, _ shown: String = ""
  ) -> RulePlace {
    guard pattern.tells(question.places) else { return RulePlace(route: "\(route) \(shown)") }
    // The segments of a long capture are several ones of the URL, too.
    let isLong = question.places.contains(where: longCaptures.contains)
    return RulePlace(route: "\(route) \(shown)", names: "\(pattern.text) \(isLong) \(shown)")
  }
}

extension GroupPattern {
  /// Whether a name says what the captures are, because nothing else in it differs.
  fileprivate func tells(_ captures: [String]) -> Bool {
    let open = parts.filter { if case .literal = $0 { false } else { true } }
    guard open.count == 1, case .capture(let name, _) = open[0] else { return false }
    return captures.allSatisfy { $0 == name }
  }
}

extension RouteAuth {
  /// The fields of the identity that the path has to name, by capture: with `require: {rooms: "{room}"}`, `claims.rooms` by `room`, and
  /// with `scope` instead of `rooms`, a word of it.
  ///
  /// A field and a capture are tied at most once.
  var ties: [String: String] {
    var ties: [String: String] = [:]
    for case .claim(let requirement) in requirements.flatMap(\.conjunction) {
      let field = requirement.tiedField
      guard requirement.values.count == 1, let capture = requirement.values[0].capture, ties[capture] == nil,
        !ties.values.contains(field)
      else { continue }
      ties[capture] = field
    }
    return ties
  }
}

extension ClaimRequirement {
  /// The field of the identity that a capture has to name: the claim, where a list is one field for each element, as in the names of
  /// groups. There, a text of words is one text, so that one of the words is a field of its own: a client with `a b` may be at `a`, and
  /// is in no group of the whole claim.
  fileprivate var tiedField: String {
    (Self.claimsOfWords.contains(claim) ? "a word of " : "") + GroupPattern.claimPrefix + claim
  }
}

extension Requirement {
  /// What has to hold together.
  fileprivate var conjunction: [Requirement] {
    if case .all(let parts) = self { parts.flatMap(\.conjunction) } else { [self] }
  }

  fileprivate func isTied(by ties: [String: String]) -> Bool {
    guard case .claim(let requirement) = self, requirement.values.count == 1,
      let capture = requirement.values[0].capture
    else { return false }
    let field = ExactText(text: requirement.tiedField)
    return ties[capture].map { ExactText(text: $0) == field } ?? false
  }

  /// - Parameter route: an identification of the route, by which claims are compared with its captures.
  fileprivate func clientRule(of route: String) -> ClientRule {
    switch self {
    case .claim(let requirement):
      guard requirement.values.allSatisfy({ $0.capture == nil }) else {
        return .other(ExactText(text: requirement.description), route: RulePlace(route: route))
      }
      return .claim(
        ExactText(text: requirement.claim), Set(requirement.values.map { ExactText(text: $0.text) }))
    case .any(let parts): return .any(Set(parts.map { $0.clientRule(of: route) }))
    case .all(let parts): return .all(Set(parts.map { $0.clientRule(of: route) }))
    }
  }
}

// MARK: - In words

extension ClaimRequirement.Value {
  /// As in JSON, and a capture as in the file.
  fileprivate var text: String {
    switch self {
    case .constant(let value): value.text
    case .capture(let name): "{\(name)}"
    }
  }

  fileprivate var words: String {
    if case .constant(.string(let text)) = self { text } else { text }
  }
}

extension ClaimRequirement: CustomStringConvertible {
  package var description: String {
    "\(claim) = \(values.map(\.words).joined(separator: " or "))"
  }
}

extension Requirement: CustomStringConvertible {
  /// For tables: `role = admin or staff`.
  package var description: String {
    switch self {
    case .claim(let requirement): requirement.description
    case .any(let parts): "any of (\(parts.map(\.description).joined(separator: "; ")))"
    case .all(let parts): "all of (\(parts.map(\.description).joined(separator: "; ")))"
    }
  }
}
