/// A problem with the group of a route.
package enum GroupFinding: Sendable, Hashable {
  /// The route has no such capture.
  case unknownCapture(String)
  /// At `example` the capture contains a character that is not valid in a group name.
  case illegalName(capture: String, example: String)
  /// At `example` the capture takes no part in the match, so there is no name.
  case absent(capture: String, example: String)
  /// At `example` the name is empty.
  case emptyName(example: String)
  /// Both paths lead to the same group although their captures differ.
  case colliding(first: String, second: String, name: String)
  /// Whether a path exists at which the capture is illegal, or is absent, was not decided.
  case legalNotProved(capture: String)
  /// Whether a path leads to an empty name was not decided.
  case emptyNotProved
  /// Whether two paths share a group was not decided.
  case collisionsNotProved
}

/// Proves that a route's group names are valid, and different for different captures; or shows paths for which they are not; or
/// says that it could not decide.
///
/// A name that may become too long is not a finding: such a path is answered with 404.
package struct GroupAnalysis {
  private let template: GroupPattern
  private let route: RoutePath
  private let index: Int
  private let router: Router
  private let budget: WorkBudget

  /// - Parameters:
  ///   - index: the route's index in the router.
  ///   - budget: for the analyses of all groups of the table together.
  package init(_ template: GroupPattern, route index: Int, of router: Router, budget: WorkBudget) {
    self.template = template
    self.index = index
    self.router = router
    self.budget = budget
    route = router.routes[index]
  }

  package func findings() -> [GroupFinding] {
    let unknown = template.captureNames.filter { route.sources(of: $0).captures.isEmpty }
    guard unknown.isEmpty else { return unknown.map(GroupFinding.unknownCapture) }
    let names = Set(template.captureNames)
    let plain = template.plainCaptureNames
    var findings = names.sorted().flatMap { name in
      // Everything can be escaped.
      [plain.contains(name) ? illegality(of: name) : nil, absence(of: name)]
    }
    findings.append(emptiness())
    // A single capture is determined by the name. The possible values of the client's identity are not known.
    if names.count > 1, !template.isPersonal { findings.append(collision()) }
    return findings.compactMap(\.self)
  }

  // MARK: - Legal names

  /// A path of this route at which the capture is not valid in a name.
  private func illegality(of name: String) -> GroupFinding? {
    guard let language = language(of: name) else { return .legalNotProved(capture: name) }
    guard let illegal = language.shortest(containing: { !GroupName.isLegal($0) }) else { return nil }
    // Of all illegal values, an accented letter is the one that users really have.
    let samples = ["caf\u{E9}", illegal].filter(language.matches)
    let example = samples.lazy.compactMap { path(with: [name: $0]) }.first
    return example.map { .illegalName(capture: name, example: $0) } ?? .legalNotProved(capture: name)
  }

  /// The possible values of the capture.
  private func language(of name: String) -> RouteLanguage? {
    RouteLanguage(Program(language: route.sources(of: name).values.withoutCaptures), budget: budget.share())
  }

  /// A path of this route at which the capture takes no part.
  private func absence(of name: String) -> GroupFinding? {
    guard !route.sources(of: name).isCertain else { return nil }
    let without = RoutePath(route.patterns.map { $0.replacing { $0 == name ? .characters(.nothing) : nil } })
    guard let language = RouteLanguage(Program(without), budget: budget.share()) else {
      return .legalNotProved(capture: name)
    }
    guard let path = language.shortest else { return nil }
    let match = router.match(RequestPath(text: path))
    guard match?.route == index, match?.captures[name] == nil else { return .legalNotProved(capture: name) }
    return .absent(capture: name, example: path)
  }

  /// A path of this route at which all parts of the name are empty.
  private func emptiness() -> GroupFinding? {
    guard template.captureNames.count == template.parts.count else { return nil }
    let names = Set(template.captureNames)
    let languages = names.map(language)
    guard languages.allSatisfy({ $0?.matches("") != false }) else { return nil }
    let path = path(with: Dictionary(uniqueKeysWithValues: names.map { ($0, "") }))
    return path.map { .emptyName(example: $0) } ?? .emptyNotProved
  }

  private func path(with values: [String: String]) -> String? {
    router.path(ofRoute: index, with: values, budget: budget)
  }

  // MARK: - Different names

  /// Two paths to the same name, or the finding that this was not decided.
  private func collision() -> GroupFinding? {
    let decision = CollisionDecision(template, budget: budget.share()) {
      route.sources(of: $0).values.withoutCaptures
    }
    guard var decision else { return .collisionsNotProved }
    var finding = GroupFinding.collisionsNotProved
    let verdict = decision.verdict { readings in
      guard let first = path(with: readings.first), let second = path(with: readings.second),
        let one = router.match(RequestPath(text: first)), let other = router.match(RequestPath(text: second)),
        one.captures != other.captures, let name = template.name(for: one.captures),
        name == template.name(for: other.captures)
      else { return false }
      finding = .colliding(first: first, second: second, name: name)
      return true
    }
    return if case .never = verdict { nil } else { finding }
  }
}
