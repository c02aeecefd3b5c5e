import Routing

/// The paths of two tables by the routes that answer them; where that was not decided, the routes by their names.
struct ComparedParts {
  struct Part {
    var old: ComparedTable.Route?
    var new: ComparedTable.Route?
    var example: String?
    var isProved: Bool
  }

  let (old, new): (ComparedTable, ComparedTable)
  private(set) var parts: [Part] = []
  /// Whether the automata of both tables were compared completely.
  let isComplete: Bool
  private let oldNames: Set<String>
  private let newNames: Set<String>

  init(_ old: ComparedTable, _ new: ComparedTable) {
    self.old = old
    self.new = new
    oldNames = Set(old.routes.map(\.named.name))
    newNames = Set(new.routes.map(\.named.name))
    let budget = WorkBudget.forAnalyses(of: old.routes.count + new.routes.count)
    let comparison = TableComparison(old.router, new.router, budget: budget)
    // Tables that are equal, whatever their size, divide the paths in the same way.
    isComplete = comparison.isComplete || old.router.routes == new.router.routes
    parts = comparison.parts.map { part in
      Part(
        old: part.old.map { old.routes[$0] }, new: part.new.map { new.routes[$0] }, example: part.example,
        isProved: true)
    }
    guard !comparison.isComplete else { return }
    if isComplete { addEqual() } else { addByNames() }
  }

  /// Adds each route of a table beside the one of the other table that is written alike.
  private mutating func addEqual() {
    let budget = WorkBudget.forAnalyses(of: old.routes.count)
    for (one, other) in zip(old.routes, new.routes) {
      let path = old.router.example(ofRoute: one.named.index, budget: budget)
      add(Part(old: one, new: other, example: path?.text, isProved: true))
    }
  }

  /// Adds what the names of the routes tell, and the paths that routes are known to answer.
  private mutating func addByNames() {
    let budget = WorkBudget.forAnalyses(of: old.routes.count + new.routes.count)
    for route in old.routes {
      add(exampleOf: old.router, route.named.index, budget)
      let same = new.routes.first { $0.named.name == route.named.name }
      add(Part(old: route, new: same, example: nil, isProved: false))
    }
    for route in new.routes {
      add(exampleOf: new.router, route.named.index, budget)
      guard !old.routes.contains(where: { $0.named.name == route.named.name }) else { continue }
      add(Part(old: nil, new: route, example: nil, isProved: false))
    }
  }

  private mutating func add(exampleOf router: Router, _ index: Int, _ budget: WorkBudget) {
    guard let path = router.example(ofRoute: index, budget: budget) else { return }
    let (one, other) = (old.router.match(path)?.route, new.router.match(path)?.route)
    guard one != nil || other != nil else { return }
    add(
      Part(
        old: one.map { old.routes[$0] }, new: other.map { new.routes[$0] }, example: path.text, isProved: true
      ))
  }

  private mutating func add(_ part: Part) {
    let isKnown = parts.contains {
      $0.old?.named.index == part.old?.named.index && $0.new?.named.index == part.new?.named.index
    }
    if !isKnown { parts.append(part) }
  }

  /// The old routes that answered paths of a new one, by its index.
  var oldRoutes: [Int: Set<Int>] {
    parts.reduce(into: [:]) { routes, part in
      if let new = part.new, let old = part.old {
        routes[new.named.index, default: []].insert(old.named.index)
      }
    }
  }
}

extension ComparedParts {
  /// Whether the route of a part without another one answers other paths in both files.
  func isOfLastingRoute(_ part: Part) -> Bool {
    guard part.old == nil || part.new == nil else { return false }
    return parts.contains { other in
      guard let old = other.old?.named.index, let new = other.new?.named.index else { return false }
      return part.old == nil ? new == part.new?.named.index : old == part.old?.named.index
    }
  }

  /// Whether the paths of a part have gone from one route to another one, and not with a route that has another name now.
  func isMove(_ part: Part) -> Bool {
    guard let one = part.old?.named.name, let other = part.new?.named.name, one != other else { return false }
    return newNames.contains(one) || oldNames.contains(other)
  }
}
