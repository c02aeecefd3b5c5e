import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import Routing
import WebSocketCore

/// A request for an event stream that passed every check.
struct EventStreamOpening {
  var route: EventRoute
  /// What the path captured.
  var captures: Captures
  /// Who the client has shown itself to be.
  var identity: Identity?
  /// What shows who the client is, where the route asks for it and it is not known yet.
  var credentials: Credentials?
  /// Those that the stream joins before it is answered.
  var groups: [String] = []
  /// What of the history of the first it begins with, where that keeps one.
  var start: ReplayStart
  /// What the answer says about other pages than those of this server.
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
  /// Makes the names of the groups, now that it is known who the client is.
  ///
  /// - Returns: false where one of them is a name that the channel layer would not take, for one because it is too long.
  mutating func nameGroups() -> Bool {
    guard let names = route.configuration.group.names(for: captures, identity) else { return false }
    groups = names
    return true
  }

  /// Goes on with what is known of the client now.
  func identified(_ outcome: Authentication) -> Result<EventStreamOpening, HandshakeRefusal> {
    var opening = self
    opening.credentials = nil
    switch outcome {
    case .identity(let identity): opening.identity = identity
    case .anonymous: break
    // Nobody can send a message here.
    case .awaited: return .failure(HandshakeRefusal(.noToken))
    case .refused(let refusal): return .failure(HandshakeRefusal(refusal))
    case .unavailable: return .failure(HandshakeRefusal(.identityUnavailable))
    }
    if opening.nameGroups() { return .success(opening) }
    return .failure(route.configuration.group.refusal(for: captures, opening.identity))
  }
}

extension ReplayStart {
  /// Where the client of a stream was: what its browser says when it comes back, or else its page in the address.
  ///
  /// - Returns: nil for a `since` in the address that is no id.
  init?(_ request: RequestHead, query: String?) {
    if let last = request.values(of: "last-event-id").first, !last.isEmpty {
      // One that is none of ours is of a history that is gone; to refuse it would keep a browser from coming back.
      self = .behind(EventPosition(last) ?? EventPosition(epoch: 0, offset: 0))
    } else if let wish = HistoryWish(query: query) {
      self = wish.start
    } else {
      return nil
    }
  }
}

extension EventRoute {
  /// What every answer of an `events` route says: nothing between here and the client is to keep it or wait for more of it.
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
  /// - Returns: nil where the origin may not, or the request names more than one.
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
    // Only HTTP/1.0 lets it be absent.
    let host = request.values(of: "host").first ?? ""
    let crossOrigin = route.crossOriginFields(origins: origins, host: host, client: client)
    func refuse(_ reason: HandshakeRefusal.Reason) -> Result<EventStreamOpening, HandshakeRefusal> {
      .failure(HandshakeRefusal(reason, crossOrigin: crossOrigin ?? []))
    }
    guard isServing else { return refuse(.stopping) }
    guard origins.count <= 1 else { return refuse(.severalOrigins) }
    guard let fields = crossOrigin else { return refuse(.originNotAllowed) }
    guard let start = ReplayStart(request, query: place.path.query) else { return refuse(.badSince) }
    var opening = EventStreamOpening(
      route: route, captures: place.match.captures, start: start, crossOrigin: fields)
    if route.auth == nil {
      // Without its groups there is nothing there.
      guard opening.nameGroups() else { return refuse(.noRoute) }
    } else {
      opening.credentials = Credentials(
        fields: request.fields, query: place.path.query, host: host, client: client)
    }
    guard admission.mayBeSession else { return refuse(.tooManyConnections) }
    return .success(opening)
  }
}
