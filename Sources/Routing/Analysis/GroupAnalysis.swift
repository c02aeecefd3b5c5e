/// What can go wrong with the group of a route.
package enum GroupFinding: Sendable, Hashable {
  /// The route has no such capture.
  case unknownCapture(String)
  /// At `example` the capture holds a character that no group name may have.
  case illegalName(capture: String, example: String)
  /// Both paths lead to the same group although their captures differ.
  case colliding(first: String, second: String, name: String)
  /// Whether a path exists at which the capture is illegal was not decided.
  case legalNotProved(capture: String)
  /// Whether two paths share a group was not decided.
  case collisionsNotProved
}

/// Proves that a route's group names are legal and different where the captures are; or shows paths for which they are not;
/// or says that it could do neither.
///
/// That a name can become too long is no finding: such a path answers 404.
package struct GroupAnalysis {
  private let template: GroupTemplate
  private let route: RoutePath
  private let index: Int
  private let router: Router

  /// - Parameter index: the route's place in the router.
  package init(_ template: GroupTemplate, route index: Int, of router: Router) {
    self.template = template
    self.index = index
    self.router = router
    route = router.routes[index]
  }

  package func findings() -> [GroupFinding] {
    let names = template.captureNames
    let unknown = names.filter { route.capture(named: $0) == nil }
    guard unknown.isEmpty else { return unknown.map(GroupFinding.unknownCapture) }
    var findings: [GroupFinding] = []
    for name in Set(names).sorted() {
      if let finding = illegality(of: name) { findings.append(finding) }
    }
    // The length of the name tells the value of a capture that is the only one.
    if Set(names).count > 1, let collision = collision() { findings.append(collision) }
    return findings
  }

  // MARK: - Legal names

  /// A path of this route at which the capture is not legal in a name.
  private func illegality(of name: String) -> GroupFinding? {
    guard let capture = route.capture(named: name),
      let language = Router.Single(RoutePath([.whole(capture.expression)]))
    else { return .legalNotProved(capture: name) }
    guard let illegal = language.shortest(containing: { !GroupTemplate.isLegal($0) }) else { return nil }
    // Of all illegal values an accent is the one that users really have.
    let samples = ["caf\u{E9}", illegal].filter(language.matches)
    let example = samples.lazy.compactMap { path(with: [name: $0]) }.first
    return example.map { .illegalName(capture: name, example: $0) } ?? .legalNotProved(capture: name)
  }

  /// The shortest path of the route with these captures; nil where another route would answer it, or none.
  private func path(with values: [String: String]) -> String? {
    let fixed = RoutePath(route.patterns.map { $0.fixing(values) })
    guard let path = Router.Single(fixed)?.shortest,
      let match = router.match(RequestPath(text: path)), match.route == index,
      values.allSatisfy({ match.captures[$0.key] == $0.value })
    else { return nil }
    return path
  }

  // MARK: - Different names

  /// Two ways to the same name, or that the question stays open.
  private func collision() -> GroupFinding? {
    let decision = CollisionDecision(template) {
      route.capture(named: $0)?.normalisedExpression.withoutCaptures
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

extension RoutePattern {
  /// Matches exactly what the expression says.
  fileprivate static func whole(_ expression: Expression) -> RoutePattern {
    RoutePattern(
      text: "", syntax: .path, role: .endpoint, captures: [],
      expression: .sequence([expression.withoutCaptures, .end]))
  }

  /// The same pattern with captures that can only be what is given.
  fileprivate func fixing(_ values: [String: String]) -> RoutePattern {
    RoutePattern(
      text: text, syntax: syntax, role: role, captures: captures,
      expression: expression.replacingCaptures { number in
        values[captures[number].name].map { Expression.text($0) }
      })
  }
}

extension Expression {
  fileprivate var withoutCaptures: Expression {
    mappingCaptures { $1 }
  }

  fileprivate func replacingCaptures(_ replacement: (Int) -> Expression?) -> Expression {
    mappingCaptures { .capture($0, replacement($0) ?? $1) }
  }

  private func mappingCaptures(_ change: (Int, Expression) -> Expression) -> Expression {
    switch self {
    case .characters, .start, .end, .endOrLastLineFeed: self
    case .sequence(let parts): .sequence(parts.map { $0.mappingCaptures(change) })
    case .alternatives(let alternatives): .alternatives(alternatives.map { $0.mappingCaptures(change) })
    case .repetition(let inner, let least, let most, let preference):
      .repetition(inner.mappingCaptures(change), least: least, most: most, preference: preference)
    case .capture(let number, let inner): change(number, inner.mappingCaptures(change))
    }
  }
}
