extension Router {
  /// A path that the route answers, with values that a person might write where it takes them; nil if none was found.
  package func example(ofRoute index: Int, budget: WorkBudget) -> RequestPath? {
    let captures = routes[index].patterns.flatMap(\.captures)
    let likely = Dictionary(
      captures.compactMap { capture in capture.converter.map { (capture.name, $0.sample) } }
    ) { $1 }
    if let path = path(ofRoute: index, with: likely, budget: budget) { return RequestPath(text: path) }
    guard case .found(let path) = search(ofRoute: index, with: [:], budget: budget) else { return nil }
    return RequestPath(text: path)
  }

  /// The shortest path of the route with these captures, among which the remainder may be; nil if another route would answer it, or
  /// if there is none.
  func path(ofRoute index: Int, with values: [String: String], budget: WorkBudget) -> String? {
    let path = language(ofRoute: index, with: values, budget: budget)?.shortest
    return path.flatMap { answers($0, by: index, with: values) ? $0 : nil }
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

  private func language(
    ofRoute index: Int, with values: [String: String], budget: WorkBudget
  ) -> RouteLanguage? {
    let fixed = routes[index].patterns.map { $0.replacing { values[$0].map { Expression.text($0) } } }
    return RouteLanguage(Program(RoutePath(fixed)), budget: budget.share())
  }

  private func answers(_ path: String, by index: Int, with values: [String: String]) -> Bool {
    guard let match = match(RequestPath(text: path)), match.route == index else { return false }
    return values.allSatisfy { name, value in
      (name == RoutePattern.remainderName ? match.remainder : match.captures[name]) == value
    }
  }
}

extension PathConverter {
  /// A value that it takes.
  fileprivate var sample: String {
    switch self {
    case .int: "1"
    case .str, .slug, .path: "a"
    case .uuid: "00000000-0000-0000-0000-000000000000"
    }
  }
}

extension RoutePattern {
  /// The same pattern with captures replaced, by name.
  func replacing(_ replacement: (String) -> Expression?) -> RoutePattern {
    var pattern = self
    pattern.expression = expression.replacingCaptures { number in
      replacement(captures[number].name).map { .capture(number, $0) }
    }
    return pattern
  }
}
