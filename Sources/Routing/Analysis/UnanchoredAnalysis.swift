/// Finds regular expressions that match in the middle of a path, where `^` was probably meant.
enum UnanchoredAnalysis {
  private static let junk = "evil/"

  /// A path with something unwanted in front that the route still matches; nil for routes that are anchored, and for those
  /// that match every path, which is hardly a slip.
  static func example(_ route: RoutePath) -> String? {
    guard let first = route.patterns.first, first.syntax == .regex else { return nil }
    let matcher = Router.Single(route)
    guard let shortest = matcher?.shortest, !shortest.isEmpty else { return nil }
    let example = junk + shortest
    guard let matcher, matcher.matches(example), !matcher.matches(junk) else { return nil }
    return example
  }
}

extension Router {
  /// One route by itself.
  struct Single {
    private let builder: AutomatonBuilder

    init?(_ route: RoutePath) {
      let budget = AutomatonBuilder.Budget(states: 20_000, work: 2_000_000)
      let program = Program(route)
      guard !program.isTooLarge, let builder = AutomatonBuilder.build([program], budget: budget) else {
        return nil
      }
      self.builder = builder
    }

    func matches(_ path: String) -> Bool {
      builder.automaton.match(Array(path.utf8)) != nil
    }

    /// The shortest path it matches that contains one of the bytes.
    func shortest(containing isWanted: (UInt8) -> Bool) -> String? {
      struct Place: Hashable {
        var state: Int
        var hasByte: Bool
      }
      var parents: [Place: (Place, UInt8)] = [:]
      var level = [Place(state: 0, hasByte: false)]
      var seen = Set(level)
      while !level.isEmpty {
        var next: [Place] = []
        for place in level {
          if place.hasByte, !builder.accepted[place.state].isEmpty {
            let steps = sequence(first: place) { parents[$0]?.0 }.compactMap { parents[$0]?.1 }
            return String(decoding: steps.reversed(), as: UTF8.self)
          }
          for byte in UInt8.min...UInt8.max {
            guard let state = builder.automaton.next(place.state, byte) else { continue }
            let following = Place(state: state, hasByte: place.hasByte || isWanted(byte))
            guard seen.insert(following).inserted else { continue }
            parents[following] = (place, byte)
            next.append(following)
          }
        }
        level = next
      }
      return nil
    }

    /// The shortest path that it matches.
    var shortest: String? {
      builder.accepted.firstIndex { !$0.isEmpty }.map(builder.example)
    }
  }
}
