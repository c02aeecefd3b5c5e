import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import Routing
import WebSocketCore

/// A request for an event stream that passed every check.
struct EventStreamOpening {
  var route: EventRoute
  /// The captures of the path.
  var captures: Captures
  /// The client's identity.
  var identity: Identity?
  /// The client's credentials, while it has to be authenticated.
  var credentials: Credentials?
  /// The groups that the stream joins before it is answered.
  var groups: [String] = []
  /// Where in the history of the first group the stream begins, if that group keeps one.
  var start: ReplayStart
  /// Header fields about pages of other origins.
  var crossOrigin: [HeaderField]

  /// The head of the answer, which has no end, and the first line of the stream.
  var response: [UInt8] {
    var text = "HTTP/1.1 200 OK\r\n"
    for field in EventRoute.fields + crossOrigin { text += "\(field.name): \(field.value)\r\n" }
    text += "Date: \(HTTPDate.now)\r\nConnection: close\r\n\r\n"
    text += "retry: \(Int(route.configuration.retry / .milliseconds(1)))\n\n"
    return OpaqueText.bytes(of: text)
  }
}

extension EventStreamOpening {
  /// Makes the names of the groups, once the client's identity is known.
  ///
  /// - Returns: false if a name is not valid for the channel layer, for example because it is too long.
  mutating func nameGroups() -> Bool {
    guard let names = route.configuration.group.names(for: captures, identity) else { return false }
    groups = names
    return true
  }

  /// Continues with the client's identity.
  func identified(_ outcome: Authentication) -> Result<EventStreamOpening, HandshakeRefusal> {
    var opening = self
    opening.credentials = nil
    switch outcome {
    case .identity(let identity): opening.identity = identity
    case .anonymous: break
    // A client of an event stream cannot send a message with a token.
    case .awaited: return .failure(HandshakeRefusal(.noToken))
    case .refused(let refusal): return .failure(HandshakeRefusal(refusal))
    case .unavailable: return .failure(HandshakeRefusal(.identityUnavailable))
    }
    if opening.nameGroups() { return .success(opening) }
    return .failure(route.configuration.group.refusal(for: captures, opening.identity))
  }
}

extension ReplayStart {
  /// The last position of a client: from its browser when it reconnects, or else from its page in the query.
  ///
  /// - Returns: nil for a `since` in the query that is not an id.
  init?(_ request: RequestHead, query: String?) {
    if let last = request.values(of: "last-event-id").first, !last.isEmpty {
      // An id that Sluice did not issue belongs to a history that is gone. Refusing it would keep a browser from reconnecting.
      self = .behind(EventPosition(last) ?? EventPosition(epoch: 0, offset: 0))
    } else if let wish = HistoryWish(query: query) {
      self = wish.start
    } else {
      return nil
    }
  }
}

extension EventRoute {
  /// Fields of every answer of an `events` route: nothing between here and the client may cache or buffer it.
  static let fields = [
    HeaderField(name: "Content-Type", value: "text/event-stream"),
    HeaderField(name: "Cache-Control", value: "no-store"),
    HeaderField(name: "X-Accel-Buffering", value: "no"),
  ]

  func crossOriginFields(origins: [String], host: String, client: Client) -> [HeaderField]? {
    configuration.origins.crossOriginFields(origins: origins, host: host, client: client)
  }
}

extension OriginPolicy {
  /// The fields that let pages of other origins read an answer (the Fetch standard, section 3.2).
  ///
  /// - Returns: nil if the origin may not, or the request names several.
  func crossOriginFields(origins: [String], host: String, client: Client) -> [HeaderField]? {
    guard origins.count <= 1 else { return nil }
    switch access(origin: origins.first, host: client.host(host), isSecure: client.isSecure) {
    case .refused: return nil
    case .allowed: return []
    case .allowedToAll: return [HeaderField(name: "Access-Control-Allow-Origin", value: "*")]
    case .allowedWithCredentials:
      return [
        HeaderField(name: "Access-Control-Allow-Origin", value: origins[0]),
        HeaderField(name: "Access-Control-Allow-Credentials", value: "true"),
        HeaderField(name: "Vary", value: "Origin"),
      ]
    }
  }
}

/// Where a request leads among the HTTP routes.
struct HTTPPlace {
  var path: RequestPath
  var match: RouteMatch
}

extension GatewayState {
  /// - Returns: nil where no route matches.
  func httpPlace(of target: [UInt8]) -> HTTPPlace? {
    guard case .success(let path) = RequestPath.decode(target: target),
      let match = application.httpRouter.match(path)
    else { return nil }
    return HTTPPlace(path: path, match: match)
  }

  /// The route of an event stream, which the workers serve; nil for a request for anything else.
  func eventRoute(method: String, at place: HTTPPlace) -> EventRoute? {
    method == "GET" ? eventRoutes[place.match.route] : nil
  }

  /// Whether a request is one for an event stream.
  func isForEventStream(method: String, target: [UInt8]) -> Bool {
    guard hasEventRoutes, let place = httpPlace(of: target) else { return false }
    return eventRoute(method: method, at: place) != nil
  }
}

extension Worker {
  /// Checks a request for an event stream, in the order of hand-shakes.
  func decide(
    stream request: RequestHead, of route: EventRoute, at place: HTTPPlace, _ admission: Admission,
    from client: Client
  ) -> Result<EventStreamOpening, HandshakeRefusal> {
    let origins = request.values(of: "origin")
    // It can only be missing with HTTP/1.0.
    let host = request.values(of: "host").first ?? ""
    let crossOrigin = route.crossOriginFields(origins: origins, host: host, client: client)
    func refuse(_ reason: HandshakeRefusal.Reason) -> Result<EventStreamOpening, HandshakeRefusal> {
      .failure(HandshakeRefusal(reason, crossOrigin: crossOrigin ?? []))
    }
    guard isServing else { return refuse(.stopping) }
    guard origins.count <= 1 else { return refuse(.severalOrigins) }
    guard let fields = crossOrigin else {
      return refuse(origins.isEmpty ? .originMissing : .originNotAllowed)
    }
    guard let start = ReplayStart(request, query: place.path.query) else { return refuse(.badSince) }
    var opening = EventStreamOpening(
      route: route, captures: place.match.captures, start: start, crossOrigin: fields)
    if route.auth == nil {
      // A path with an invalid group name is answered like an unknown path.
      guard opening.nameGroups() else { return refuse(.noRoute) }
    } else {
      opening.credentials = Credentials(
        fields: request.fields, query: place.path.query, host: host, client: client)
    }
    guard admission.mayBeSession else { return refuse(.tooManyConnections) }
    return .success(opening)
  }
}
