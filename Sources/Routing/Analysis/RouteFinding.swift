/// A fact about the routes of the compiled table. Routes are given by their index.
package enum RouteFinding: Sendable, Hashable {
  /// The routes before it answer every path that it matches.
  case unreachable(route: Int, coveredBy: [Int])
  /// Both match `example`, and `by` answers. Neither contains the other: a special route before a general one is not a finding.
  case partlyCovered(route: Int, by: Int, example: String)
  /// No request path can match it.
  case matchesNothing(route: Int)
  /// A regular expression without `^`: it matches `example` too.
  case unanchored(route: Int, example: String)
  /// A pattern before nested routes can end in more than one place in `example`. Django would choose one of them before it
  /// tries the nested routes.
  case ambiguousPrefix(route: Int, pattern: Int, example: String)
  /// The route is too large to be compiled.
  case tooComplex(route: Int)
  /// A question about the route was not decided, because it would have taken too much work.
  case open(route: Int, OpenQuestion)
  /// The table had to be split into several automata, and whether routes of one cover a route of another was not decided.
  case notProved(routes: Range<Int>)

  package enum OpenQuestion: Sendable, Hashable {
    /// Whether a regular expression matches more than it would with `^`.
    case anchoring
    /// Whether the pattern before nested routes can end in more than one place.
    case prefix(pattern: Int)
    /// Whether the earlier route answers some of its paths.
    case overlap(with: Int)
  }

  package var route: Int {
    switch self {
    case .unreachable(let route, _), .partlyCovered(let route, _, _), .matchesNothing(let route),
      .unanchored(let route, _), .ambiguousPrefix(let route, _, _), .tooComplex(let route),
      .open(let route, _):
      route
    case .notProved(let routes): routes.lowerBound
    }
  }
}
