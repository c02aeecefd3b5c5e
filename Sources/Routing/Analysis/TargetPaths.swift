/// The paths that a URL with places leads to, as the server behind it reads them: decoded, and without slashes at the beginning.
package struct TargetPaths: Sendable, Equatable {
  package enum Part: Sendable {
    /// Decoded.
    case literal(String)
    /// What the route captures.
    case place(String)
    /// The rest of the client's path, which follows the URL of a proxy.
    case remainder
  }

  /// A capture for each place.
  let pattern: RoutePattern

  /// - Parameter path: of the route whose captures fill the places.
  /// - Returns: nil if the path has no such captures, which is reported separately.
  package init?(_ parts: [Part], of path: RoutePath) {
    var captures: [RoutePattern.Capture] = []
    var expressions: [Expression] = []
    func add(_ name: String) -> Bool {
      let sources = path.sources(of: name)
      guard !sources.captures.isEmpty else { return false }
      // Of a name that stands twice, each may have another value here: at worst there is a path too many.
      let values = sources.values.withoutCaptures.withoutAssertions
      expressions.append(.capture(captures.count, values))
      captures.append(RoutePattern.Capture(name: name, expression: values))
      return true
    }
    for part in parts {
      switch part {
      case .literal(let text):
        expressions.append(.text(expressions.isEmpty ? text.drop { $0 == "/" } : text[...]))
      case .place(let name): guard add(name) else { return nil }
      case .remainder: guard add(RoutePattern.remainderName) else { return nil }
      }
    }
    pattern = RoutePattern(
      text: "", syntax: .path, captures: captures, expression: .sequence([.start] + expressions + [.end]))
  }

  fileprivate func language(_ budget: WorkBudget) -> RouteLanguage? {
    RouteLanguage(Program(RoutePath([pattern])), budget: budget.share())
  }
}

extension Router {
  /// Whether a client can reach a path through a proxy.
  package enum Reach: Sendable, Hashable {
    case never
    /// A request for this path arrives there.
    case shown(path: String)
    /// It was not decided.
    case open
  }

  /// Whether requests that a route answers as a proxy lead to one of the paths.
  ///
  /// - Parameter target: the URL of the proxy; nil if it passes on the path as it came.
  package func reach(
    of paths: TargetPaths, through route: Int, to target: TargetPaths?, budget: WorkBudget
  ) -> Reach {
    guard let wanted = paths.language(budget) else { return .open }
    guard let target else {
      guard let table = wholeTable else { return reachWithoutTable(wanted, through: route, budget) }
      return Reach(wanted.shortest(wonBy: route, in: table, budget: budget.share()))
    }
    let built = Router([RoutePath([target.pattern])])
    guard let table = built.wholeTable else { return .open }
    switch wanted.shortest(wonBy: 0, in: table, budget: budget.share()) {
    case .none: return .never
    case .open: return .open
    case .found(let path):
      // A path of the client that fills the places so. Another route may answer it, and one of other paths may lead there.
      guard let match = built.match(RequestPath(text: path)) else { return .open }
      var values = Dictionary(match.captures.all.map { ($0.name, $0.value) }) { $1 }
      values[RoutePattern.remainderName] = match.remainder
      guard case .found(let own) = search(ofRoute: route, with: values, budget: budget) else { return .open }
      return .shown(path: own)
    }
  }

  /// The same for a table that had to be split: an earlier route may answer.
  private func reachWithoutTable(_ wanted: RouteLanguage, through route: Int, _ budget: WorkBudget) -> Reach {
    let alone = Router([routes[route]])
    guard let table = alone.wholeTable else { return .open }
    let reach = Reach(wanted.shortest(wonBy: 0, in: table, budget: budget.share()))
    guard case .shown(let path) = reach else { return reach }
    return match(RequestPath(text: path))?.route == route ? reach : .open
  }
}

extension Router.Reach {
  fileprivate init(_ result: ProductSearch.Result) {
    self =
      switch result {
      case .found(let path): .shown(path: path)
      case .none: .never
      case .open: .open
      }
  }
}
