package enum RouteKind: Sendable {
  case http
  case webSocket

  package var key: String {
    switch self {
    case .http: "http"
    case .webSocket: "websocket"
    }
  }

  /// The kind of mapping that a route is.
  var place: KeyPlace {
    switch self {
    case .http: .httpRoute
    case .webSocket: .webSocketRoute
    }
  }

  /// The kind of mapping that has `routes`, and settings for all of them.
  var blockPlace: KeyPlace {
    switch self {
    case .http: .httpRoutes
    case .webSocket: .webSocketRoutes
    }
  }
}
