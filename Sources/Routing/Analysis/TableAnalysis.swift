/// Finds out from a compiled automaton which routes can be reached, and which routes overlap.
///
/// It visits every state that a path can end in once, the nearest first, so that its examples are the shortest ones.
struct TableAnalysis {
  private let routes: [RoutePath]
  private let programs: [Program]
  private let budget: WorkBudget
  private var collected: [RouteFinding] = []
  private var pieces = 0

  init(_ routes: [RoutePath], _ programs: [Program], budget: WorkBudget) {
    self.routes = routes
    self.programs = programs
    self.budget = budget
  }

  mutating func tooComplex(_ route: Int) {
    collected.append(.tooComplex(route: route))
    pieces += 1
  }

  /// Adds an automaton for the routes from `firstRoute` on.
  mutating func add(_ builder: AutomatonBuilder, firstRoute: Int) {
    pieces += 1
    let stretch = firstRoute..<(firstRoute + builder.routeCount)
    var overlaps = Overlaps(builder, Array(programs[stretch]), budget: budget)
    for number in 0..<overlaps.routeCount where !overlaps.wins[number] {
      let route = firstRoute + number
      guard !programs[route].isTooLarge else {
        collected.append(.tooComplex(route: route))
        continue
      }
      let coverers = overlaps.coverers(of: number).map { firstRoute + $0 }
      collected.append(
        coverers.isEmpty ? .matchesNothing(route: route) : .unreachable(route: route, coveredBy: coverers))
    }
    for (pair, verdict) in overlaps.partial() {
      let (route, winner) = (firstRoute + pair.route, firstRoute + pair.winner)
      switch verdict {
      case .example(let example):
        collected.append(.partlyCovered(route: route, by: winner, example: example))
      case .open: collected.append(.open(route: route, .overlap(with: winner)))
      }
    }
  }

  func findings() -> [RouteFinding] {
    var all = collected
    if pieces > 1 { all.append(.notProved(routes: 0..<routes.count)) }
    var prefixes = PrefixAnalysis(budget: budget)
    for (route, path) in routes.enumerated() where !programs[route].isTooLarge {
      all += prefixes.findings(path, programs[route], route: route)
      let unanchored = UnanchoredAnalysis(route: path, budget: budget)
      if let finding = unanchored.finding(route: route) { all.append(finding) }
    }
    return all.sorted { ($0.route, $0.rank) < ($1.route, $1.rank) }
  }
}

/// The routes that match the same paths, by their numbers in one automaton.
private struct Overlaps {
  struct Pair: Hashable {
    var winner: Int
    var route: Int
  }

  enum Partial {
    /// Both match it, and the winner answers.
    case example(String)
    case open
  }

  private(set) var wins: [Bool]
  private let builder: AutomatonBuilder
  private let programs: [Program]
  private let budget: WorkBudget
  private var states: [Int]
  private var together: [Pair: (count: Int, example: Int)] = [:]
  /// For each route: the routes that answer where it accepts too, and those for which it was dropped.
  private var winners: [Int: Set<Int>] = [:]
  private var hiders: [Int: Set<Int>] = [:]
  /// Whether the route was dropped somewhere, so that the states do not show all its paths.
  private var isHidden: [Bool]
  private var languages: [Int: RouteLanguage?] = [:]

  var routeCount: Int { wins.count }

  init(_ builder: AutomatonBuilder, _ programs: [Program], budget: WorkBudget) {
    self.builder = builder
    self.programs = programs
    self.budget = budget
    let count = builder.routeCount
    wins = Array(repeating: false, count: count)
    states = Array(repeating: 0, count: count)
    isHidden = Array(repeating: false, count: count)
    for (state, routes) in builder.accepted.enumerated() {
      guard let winner = routes.first else { continue }
      wins[Int(winner)] = true
      for route in routes { states[Int(route)] += 1 }
      for route in routes.dropFirst() {
        let pair = Pair(winner: Int(winner), route: Int(route))
        together[pair, default: (0, state)].count += 1
      }
    }
    for pair in together.keys { winners[pair.route, default: []].insert(pair.winner) }
    for hiding in builder.hidden {
      isHidden[Int(hiding.route)] = true
      hiders[Int(hiding.route), default: []].insert(Int(hiding.by))
    }
  }

  /// The routes that answer instead of a route that never wins; empty if it matches nothing.
  mutating func coverers(of route: Int) -> [Int] {
    let winners = winners[route] ?? []
    if winners.isEmpty, let language = language(of: route), language.shortest == nil { return [] }
    return winners.union(hiders[route] ?? []).sorted()
  }

  /// The overlaps in which neither route contains the other, each with an example path.
  ///
  /// An overlap that lies completely where a third route hides the later one is reported for the third route.
  mutating func partial() -> [(Pair, Partial)] {
    let hiding = builder.hidden.map { Pair(winner: Int($0.by), route: Int($0.route)) }
    let pairs = Set(together.keys).union(hiding).filter { wins[$0.route] }
    return pairs.sorted { ($0.route, $0.winner) < ($1.route, $1.winner) }.compactMap { pair in
      partial(pair).map { (pair, $0) }
    }
  }

  private mutating func partial(_ pair: Pair) -> Partial? {
    guard isHidden[pair.route] || isHidden[pair.winner] else { return partialByStates(pair) }
    guard let winner = language(of: pair.winner), let route = language(of: pair.route) else { return .open }
    let example: String
    switch winner.overlap(route, budget: budget.share()) {
    case .none, .contained: return nil
    case .open: return .open
    case .partial(let shortest): example = shortest
    }
    if let state = together[pair]?.example { return .example(builder.example(state)) }
    if builder.automaton.match(Array(example.utf8)) == pair.winner { return .example(example) }
    let search = winner.shortest(
      with: route, wonBy: pair.winner, in: builder.automaton, budget: budget.share())
    return switch search {
    case .found(let example): .example(example)
    case .none: nil
    case .open: .open
    }
  }

  /// The earlier route is contained if it accepts only where the later one does. A state shows an earlier route only if it wins
  /// there; a route that loses elsewhere to a third one is not considered contained.
  private func partialByStates(_ pair: Pair) -> Partial? {
    guard let overlap = together[pair] else { return nil }
    let isContained = overlap.count == states[pair.winner]
    let contains = overlap.count == states[pair.route]
    return isContained || contains ? nil : .example(builder.example(overlap.example))
  }

  private mutating func language(of route: Int) -> RouteLanguage? {
    if let known = languages[route] { return known }
    let language = RouteLanguage(programs[route], budget: budget.share())
    languages.updateValue(language, forKey: route)
    return language
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
    case .open: 6
    case .notProved: 7
    }
  }
}
