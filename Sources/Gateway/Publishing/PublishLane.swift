/// A kind of caller of the `publish` routes, with its own places and memory. No lane can use up those of another, so that
/// strangers cannot block the API for the back end.
enum PublishLane: Int, CaseIterable, Sendable {
  /// Requests with a token of the route: the back end.
  case token
  /// Requests of authenticated users, by the route's `auth`.
  case user
  /// Requests on anonymous routes.
  case anonymous
}
