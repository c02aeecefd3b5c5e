/// What can go wrong with the group of a route.
package enum GroupFinding: Sendable, Hashable {
  /// The route has no such capture.
  case unknownCapture(String)
  /// At `example` the capture holds a character that no group name may have.
  case illegalName(capture: String, example: String)
  /// Both paths lead to the same group although their captures differ.
  case colliding(first: String, second: String, name: String)
}

/// Proves that a route's group names are legal and different where the captures are; or shows paths for which they are not.
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
      if let example = illegalExample(name) { findings.append(.illegalName(capture: name, example: example)) }
    }
    if names.count > 1, Set(names).count == names.count, let collision = collision() {
      findings.append(collision)
    }
    return findings
  }

  // MARK: - Legal names

  /// A path of this route at which the capture is not legal in a name.
  private func illegalExample(_ name: String) -> String? {
    guard let capture = route.capture(named: name) else { return nil }
    guard let language = Router.Single(RoutePath([.whole(capture.expression)])) else { return nil }
    guard let illegal = language.shortest(containing: { !GroupTemplate.isLegal($0) }) else { return nil }
    // Of all illegal values an accent is the one that users really have.
    let samples = ["caf\u{E9}", illegal].filter(language.matches)
    return samples.lazy.compactMap { path(with: [name: $0]) }.first
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

  /// Two ways to the same name.
  private func collision() -> GroupFinding? {
    for name in candidateNames() {
      var ways: [[String: String]] = []
      collect(Array(name.utf8), 0, template.parts[...], [:], &ways)
      let paths = ways.compactMap { path(with: $0) }
      guard paths.count > 1, let match = router.match(RequestPath(text: paths[0])),
        let other = router.match(RequestPath(text: paths[1])), match.captures != other.captures,
        template.name(for: match.captures) == template.name(for: other.captures)
      else { continue }
      return .colliding(first: paths[0], second: paths[1], name: name)
    }
    return nil
  }

  /// Names that are worth a try: with each separator also inside the captures around it.
  private func candidateNames() -> [String] {
    var names: [String] = []
    let fillers = ["a", "1", "0"]
    for filler in fillers {
      for place in template.parts.indices {
        guard case .capture = template.parts[place] else { continue }
        let separator: String
        if place + 1 < template.parts.count, case .literal(let text) = template.parts[place + 1] {
          separator = text
        } else {
          separator = ""
        }
        var name = ""
        for (index, part) in template.parts.enumerated() {
          switch part {
          case .literal(let text): name += text
          case .capture: name += index == place ? filler + separator + filler : filler
          }
        }
        names.append(name)
      }
    }
    return names
  }

  /// All ways to read the name by the template.
  private func collect(
    _ name: [UInt8], _ position: Int, _ parts: ArraySlice<GroupTemplate.Part>, _ values: [String: String],
    _ ways: inout [[String: String]]
  ) {
    guard let part = parts.first else {
      if position == name.count { ways.append(values) }
      return
    }
    switch part {
    case .literal(let text):
      guard name[position...].starts(with: text.utf8) else { return }
      collect(name, position + text.utf8.count, parts.dropFirst(), values, &ways)
    case .capture(let capture):
      guard let expression = route.capture(named: capture)?.expression,
        let language = Router.Single(RoutePath([.whole(expression)]))
      else { return }
      for end in position...name.count {
        let value = String(decoding: name[position..<end], as: UTF8.self)
        guard language.matches(value) else { continue }
        var more = values
        more[capture] = value
        collect(name, end, parts.dropFirst(), more, &ways)
      }
    }
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
