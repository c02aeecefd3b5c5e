/// The paths of a single route, or the values of a capture.
struct RouteLanguage {
  private let builder: AutomatonBuilder

  /// - Returns: nil where it is too large.
  init?(_ program: Program, budget: WorkBudget) {
    guard !program.isTooLarge, let builder = AutomatonBuilder([program], budget: budget) else {
      return nil
    }
    self.builder = builder
  }

  func matches(_ path: String) -> Bool { builder.automaton.match(Array(path.utf8)) != nil }

  /// The shortest path that it matches; nil where there is none.
  var shortest: String? { builder.accepted.firstIndex { !$0.isEmpty }.map(builder.example) }

  /// The shortest path it matches that contains one of the bytes.
  func shortest(containing isWanted: (UInt8) -> Bool) -> String? {
    struct Place: Hashable {
      var state: Int
      var hasByte: Bool
    }
    var paths = ShortestPaths<Place, UInt8>(from: Place(state: 0, hasByte: false))
    while let place = paths.next() {
      if place.hasByte, !builder.accepted[place.state].isEmpty { return paths.path(to: place) }
      for byte in UInt8.min...UInt8.max {
        guard let state = builder.automaton.next(place.state, byte) else { continue }
        paths.reach(Place(state: state, hasByte: place.hasByte || isWanted(byte)), from: place, by: byte)
      }
    }
    return nil
  }

  // MARK: - Two languages

  /// The shortest readable path that it matches and the other one does not.
  func shortest(without other: RouteLanguage, budget: WorkBudget) -> ProductSearch.Result {
    ProductSearch(automata: [builder.automaton, other.builder.automaton], isReadable: true).first(budget) {
      $0[0] != nil && $0[1] == nil
    }
  }

  enum Overlap {
    /// No path is matched by both.
    case none
    /// One of them matches everything that the other matches.
    case contained
    /// The shortest path that both match. Each of them matches other paths as well.
    case partial(example: String)
    case open
  }

  func overlap(_ other: RouteLanguage, budget: WorkBudget) -> Overlap {
    let search = ProductSearch(automata: [builder.automaton, other.builder.automaton])
    var hasOwn = false
    var hasOthers = false
    let example: String
    let result = search.first(budget) { routes in
      switch (routes[0], routes[1]) {
      case (nil, nil): break
      case (_?, nil): hasOwn = true
      case (nil, _?): hasOthers = true
      case (_?, _?): return true
      }
      return false
    }
    switch result {
    case .none: return .none
    case .open: return .open
    case .found(let path): example = path
    }
    if !hasOwn || !hasOthers {
      let rest = search.first(budget) { routes in
        if routes[0] != nil, routes[1] == nil { hasOwn = true }
        if routes[0] == nil, routes[1] != nil { hasOthers = true }
        return hasOwn && hasOthers
      }
      if case .open = rest { return .open }
    }
    return hasOwn && hasOthers ? .partial(example: example) : .contained
  }

  /// The shortest path that it matches, as does the other one, and that route answers in the automaton.
  func shortest(
    with other: RouteLanguage? = nil, wonBy route: Int, in table: Automaton, budget: WorkBudget
  ) -> ProductSearch.Result {
    let languages = [self, other].compactMap(\.self)
    return ProductSearch(automata: [table] + languages.map(\.builder.automaton)).first(budget) { routes in
      routes[0] == route && routes.allSatisfy { $0 != nil }
    }
  }
}
