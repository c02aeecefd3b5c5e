/// Finds regular expressions that match in the middle of a path, although `^` was probably meant.
///
/// A pattern is found if it matches a path that it would not match with `^` at its beginning. A pattern that matches every path
/// anyway is not found, because that is hardly a mistake.
struct UnanchoredAnalysis {
  let route: RoutePath
  let budget: WorkBudget

  /// At most one finding, because it is about all patterns of the route.
  func finding(route index: Int) -> RouteFinding? {
    let searched = route.patterns.indices.filter { route.patterns[$0].isSearched }
    guard !searched.isEmpty else { return nil }
    guard let asWritten = RouteLanguage(Program(route), budget: budget.share()) else {
      return .open(route: index, .anchoring)
    }
    for number in searched {
      guard let difference = difference(asWritten, pattern: number) else {
        return .open(route: index, .anchoring)
      }
      if let example = difference { return .unanchored(route: index, example: example) }
    }
    return nil
  }

  /// A path that matches only because the pattern is searched for; nil if the budget is used up.
  private func difference(_ asWritten: RouteLanguage, pattern number: Int) -> String?? {
    var patterns = route.patterns
    patterns[number] = patterns[number].anchored
    guard let anchored = RouteLanguage(Program(RoutePath(patterns)), budget: budget.share()) else {
      return nil
    }
    // A person notices an obviously wrong beginning at once.
    let junk = "evil/"
    patterns.insert(
      RoutePattern(text: junk, syntax: .path, captures: [], expression: .text(junk)), at: number)
    let withJunk = RouteLanguage(Program(RoutePath(patterns)), budget: budget.share())
    if let example = withJunk?.shortest, asWritten.matches(example), !anchored.matches(example) {
      return .some(example)
    }
    switch asWritten.shortest(without: anchored, budget: budget.share()) {
    case .found(let example): return .some(example)
    case .none: return .some(nil)
    case .open: return nil
    }
  }
}

extension RoutePattern {
  /// The same route without the text that may precede a searched pattern.
  fileprivate var anchored: RoutePattern {
    guard isSearched, case .sequence(let parts) = expression else { return self }
    var pattern = self
    pattern.expression = .sequence([.start] + parts.dropFirst())
    return pattern
  }
}
