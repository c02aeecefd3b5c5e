import Routing

/// A route as it was read, with the places that findings point at.
struct ReadRoute {
  var path: RoutePath
  /// The place of the route's own pattern.
  var range: SourceRange
  /// The places of all patterns of the path.
  var patternRanges: [SourceRange]
  var givenName: Located<String>?
  var groups: [Located<GroupPattern>] = []
  /// The places of the group patterns, in their order.
  var placesOfPatterns: [SourceRange] = []
  /// The places of `groups_from_view`, in their order.
  var placesOfViewGroups: [SourceRange] = []
  /// The place of `unsigned: true`.
  var unsigned: SourceRange?
  var shared: Located<Bool>?
  /// Whether it names an authenticator that does not exist.
  var hasUnknownAuth = false
  var http: HTTPRoute?
  var webSocket: WebSocketRoute?

  /// A name for one of the path's patterns. All but the last one are outer patterns.
  func name(ofPattern number: Int) -> String {
    http?.action.answersBelow == true && number == path.patterns.count - 2
      ? "the path of this route" : "the pattern before the nested routes"
  }
}
