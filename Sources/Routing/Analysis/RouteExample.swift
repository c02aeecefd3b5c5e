extension Router {
  /// The shortest path of the route with these captures; nil if another route would answer it, or if there is none.
  func path(ofRoute index: Int, with values: [String: String], budget: WorkBudget) -> String? {
    guard let language = language(ofRoute: index, with: values, budget: budget), let path = language.shortest,
      answers(path, by: index, with: values)
    else { return nil }
    return path
  }

  /// A path of the route with these captures, even if an earlier route answers it.
  func search(ofRoute index: Int, with values: [String: String], budget: WorkBudget) -> ProductSearch.Result {
    guard let language = language(ofRoute: index, with: values, budget: budget) else { return .open }
    guard let shortest = language.shortest else { return .none }
    if answers(shortest, by: index, with: values) { return .found(shortest) }
    guard let table = wholeTable else { return .open }
    let result = language.shortest(wonBy: index, in: table, budget: budget.share())
    if case .found(let path) = result, !answers(path, by: index, with: values) { return .open }
    return result
  }

  private func language(ofRoute index: Int, with values: [String: String], budget: WorkBudget)
    -> RouteLanguage?
  {
    let fixed = RoutePath(
      routes[index].patterns.map { $0.replacing { name in values[name].map { Expression.text($0) } } })
    return RouteLanguage(fixed, budget: budget.share())
  }

  private func answers(_ path: String, by index: Int, with values: [String: String]) -> Bool {
    guard let match = match(RequestPath(text: path)), match.route == index else { return false }
    return values.allSatisfy { match.captures[$0.key] == $0.value }
  }
}

extension RoutePattern {
  /// The same pattern with captures replaced, by name.
  func replacing(_ replacement: (String) -> Expression?) -> RoutePattern {
    RoutePattern(
      text: text, syntax: syntax, role: role, captures: captures,
      expression: expression.replacingCaptures { number in
        replacement(captures[number].name).map { .capture(number, $0) }
      })
  }
}
