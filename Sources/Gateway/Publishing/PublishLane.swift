/// Whose requests share places and memory on the `publish` routes. What one lane has is nothing that another can use up, so that
/// no number of strangers closes the API for the back end.
enum PublishLane: Int, CaseIterable, Sendable {
  /// Requests with a token of the route: the back end.
  case token
  /// Requests of users who have shown who they are, by the route's `auth`.
  case user
  /// Requests on anonymous routes.
  case anonymous
}
