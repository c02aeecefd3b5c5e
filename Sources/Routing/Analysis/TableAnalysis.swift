/// Reads from a compiled automaton which routes can be reached, and which stand in each other's way.
///
/// Every state that a path can end in is looked at once, the nearest first, so that examples are the shortest there are.
struct TableAnalysis {
  private let routes: [RoutePath]
  private let programs: [Program]
  private var collected: [RouteFinding] = []
  private var pieces = 0

  init(_ routes: [RoutePath], _ programs: [Program]) {
    self.routes = routes
    self.programs = programs
  }

  mutating func tooComplex(_ route: Int) {
    collected.append(.tooComplex(route: route))
    pieces += 1
  }

  /// Takes in an automaton over the routes from `firstRoute` on.
  mutating func add(_ builder: AutomatonBuilder, firstRoute: Int) {
    pieces += 1
    let overlaps = Overlaps(builder)
    for route in 0..<overlaps.routeCount where !overlaps.wins[route] {
      let coverers = overlaps.coverers(of: route)
      collected.append(
        coverers.isEmpty
          ? .matchesNothing(route: firstRoute + route)
          : .unreachable(route: firstRoute + route, coveredBy: coverers.map { firstRoute + $0 }))
    }
    for (pair, overlap) in overlaps.partial where overlaps.wins[pair.route] {
      collected.append(
        .partlyCovered(
          route: firstRoute + pair.route, by: firstRoute + pair.winner, example: builder.example(overlap)))
    }
  }

  func findings() -> [RouteFinding] {
    var all = collected
    if pieces > 1 { all.append(.notProved(routes: 0..<routes.count)) }
    var prefixes = PrefixAnalysis()
    for (route, path) in routes.enumerated() {
      all += prefixes.findings(path, programs[route], route: route)
      if let example = UnanchoredAnalysis.example(path) {
        all.append(.unanchored(route: route, example: example))
      }
    }
    return all.sorted { ($0.route, $0.rank) < ($1.route, $1.rank) }
  }
}

/// Which routes accept together.
private struct Overlaps {
  struct Pair: Hashable {
    var winner: Int
    var route: Int
  }

  private(set) var wins: [Bool]
  private var states: [Int]
  private var together: [Pair: (count: Int, example: Int)] = [:]

  var routeCount: Int { wins.count }

  init(_ builder: AutomatonBuilder) {
    let count = builder.routeCount
    wins = Array(repeating: false, count: count)
    states = Array(repeating: 0, count: count)
    for (state, routes) in builder.accepted.enumerated() {
      guard let winner = routes.first else { continue }
      wins[Int(winner)] = true
      for route in routes { states[Int(route)] += 1 }
      for route in routes.dropFirst() {
        let pair = Pair(winner: Int(winner), route: Int(route))
        together[pair, default: (0, state)].count += 1
      }
    }
  }

  func coverers(of route: Int) -> [Int] {
    together.keys.filter { $0.route == route }.map(\.winner).sorted()
  }

  /// The overlaps in which neither route contains the other, with a state that shows them.
  ///
  /// The earlier route is contained where it accepts nowhere without the later one. A state shows an earlier route only
  /// while it wins there; one that loses elsewhere to a third route is not taken to be contained.
  var partial: [(Pair, Int)] {
    together.compactMap { pair, overlap in
      let isContained = overlap.count == states[pair.winner]
      let contains = overlap.count == states[pair.route]
      return isContained || contains ? nil : (pair, overlap.example)
    }.sorted { ($0.0.route, $0.0.winner) < ($1.0.route, $1.0.winner) }
  }
}

extension RouteFinding {
  /// The order of findings about one route.
  fileprivate var rank: Int {
    switch self {
    case .tooComplex: 0
    case .matchesNothing: 1
    case .unreachable: 2
    case .ambiguousPrefix: 3
    case .unanchored: 4
    case .partlyCovered: 5
    case .notProved: 6
    }
  }
}
