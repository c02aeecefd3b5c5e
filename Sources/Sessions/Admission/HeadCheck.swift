import Consumers
package import GatewayConfig
import Routing
package import WebSocketCore

/// Checks the head of a request for a session or an event stream in the order in which a client can correct it: its path, its
/// form, its origin, then the state of the gateway.
struct HeadCheck {
  let served: ServedRoutes
  let request: RequestHead
  let client: Client
  let allowance: Allowance
  /// Once the gateway stops: when the client is to come back.
  var stopRetry: Duration?
  /// The same while only those are refused whose sessions could not be handed over to another program.
  var boundRetry: Duration?
  /// `limits.handshakes`; nil for any number.
  var rate: HandshakeRate?
  /// Why the connection is refused whatever it asks for: too many of them are open.
  var limit: HandshakeRefusal?

  func opening(to destination: Destination) throws(HandshakeRefusal) -> Opening {
    switch destination {
    case .webSocket: return try session()
    case .stream(let route, let place):
      if let limit { throw limit }
      return try stream(of: route, at: place)
    }
  }

  /// What the log says of a refused request besides the reason: of an origin what it was compared with.
  func facts(of refusal: HandshakeRefusal) -> [String: String] {
    guard [.originNotAllowed, .originMissing].contains(refusal.reason) else { return [:] }
    let host = request.firstValue(of: "host") ?? ""
    let origin = request.firstValue(of: "origin")
    return OriginPolicy.facts(origin: origin, host: client.host(host))
  }

  /// The place that a handshake asks for.
  private struct SessionPlace {
    /// Nil where it cannot be decoded.
    var path: RequestPath?
    /// Nil where no route matches.
    var match: RouteMatch?

    func rules(in served: ServedRoutes) -> (origins: OriginPolicy, refusals: RefusalForm) {
      guard let match else {
        let rules = served.application.unmatchedHandshakes
        return (rules.origins, rules.refusals)
      }
      let route = served.routes[match.route].configuration
      return (route.origins, route.refusals)
    }
  }

  private func session() throws(HandshakeRefusal) -> Opening {
    let path = try? RequestPath.decode(target: request.target).get()
    let place = SessionPlace(path: path, match: path.flatMap(served.application.webSocketRouter.match))
    let (origins, refusals) = place.rules(in: served)
    let handshake = Handshake.read(request)
    guard refusals == .close, let accepted = try? handshake.get() else {
      return try session(at: place, handshake, from: origins)
    }
    do throws(HandshakeRefusal) {
      // Before anything else, so that a page of another site learns nothing but that.
      try check(accepted, against: origins)
      return try session(at: place, handshake, from: nil)
    } catch {
      var refusal = error
      refusal.handshake = accepted
      throw refusal
    }
  }

  private func check(_ handshake: Handshake, against origins: OriginPolicy) throws(HandshakeRefusal) {
    guard
      origins.allows(
        origin: handshake.origin, host: client.host(handshake.host), isSecure: client.isSecure)
    else { throw HandshakeRefusal(handshake.origin == nil ? .originMissing : .originNotAllowed) }
  }

  /// - Parameter origins: nil if the origin was checked.
  private func session(
    at place: SessionPlace, _ handshake: Result<Handshake, RequestFault>, from origins: OriginPolicy?
  ) throws(HandshakeRefusal) -> Opening {
    if let limit { throw limit }
    if let stopRetry { throw HandshakeRefusal(.stopping(retry: stopRetry)) }
    guard let path = place.path else { throw HandshakeRefusal(.badPath) }
    guard let match = place.match else { throw HandshakeRefusal(.noRoute) }
    let route = served.routes[match.route]
    if let boundRetry, route.isBound { throw HandshakeRefusal(.stopping(retry: boundRetry)) }
    let handshake = try handshake.mapError { HandshakeRefusal(Refusal($0)) }.get()
    if let origins { try check(handshake, against: origins) }
    let history = route.numbered == nil ? nil : HistoryRequest(query: path.query)
    if route.numbered != nil, history == nil { throw HandshakeRefusal(.badSince) }
    let session = SessionOpening(route: route, handshake: handshake)
    if let view = route.configuration.consumer.view {
      session.view = try request(to: view, of: route, path, match, handshake)
    }
    let opening = try admitted(
      Opening(
        .session(session), captures: match.captures, history: history,
        by: WayIn(path, origin: handshake.origin, host: handshake.host, of: client)),
      Credentials(
        fields: request.fields, query: path.query, subprotocols: handshake.subprotocols,
        host: handshake.host, client: client, takesMessage: route.takesTokens,
        request: self.place(match.captures, showsHistory: route.numbered != nil)))
    if let upstream = route.configuration.consumer.upstream {
      try forward(opening, of: session, to: upstream, path, match)
    }
    try pay()
    return opening
  }

  private func request(
    to view: ViewConfiguration, of route: SessionRoute, _ path: RequestPath, _ match: RouteMatch,
    _ handshake: Handshake
  ) throws(HandshakeRefusal) -> ViewedRequest {
    let place = place(match.captures, showsHistory: route.numbered != nil)
    guard
      let request = ViewedRequest(
        view, request, path, place, handshake, from: client, hidden: route.auth?.tokenParameters ?? [])
    else { throw HandshakeRefusal(.badPlace) }
    return request
  }

  private func stream(of route: EventRoute, at place: HTTPPlace) throws(HandshakeRefusal) -> Opening {
    // It can only be missing with HTTP/1.0.
    let host = request.firstValue(of: "host") ?? ""
    let origins = request.values(of: "origin")
    let crossOrigin = route.configuration.origins.crossOrigin(origins, host: host, client: client)
    do throws(HandshakeRefusal) {
      if let stopRetry { throw HandshakeRefusal(.stopping(retry: stopRetry)) }
      let crossOrigin = try crossOrigin.mapError { HandshakeRefusal($0) }.get()
      guard let history = HistoryRequest(ofStream: request, query: place.path.query) else {
        throw HandshakeRefusal(.badSince)
      }
      let stream = EventStreamOpening(route: route, crossOrigin: crossOrigin)
      let opening = try admitted(
        Opening(
          .stream(stream), captures: place.match.captures, history: history,
          by: WayIn(place.path, origin: origins.first, host: host, of: client)),
        Credentials(
          fields: request.fields, query: place.path.query, host: host, client: client,
          request: self.place(place.match.captures, showsHistory: true)))
      try pay()
      return opening
    } catch {
      var refusal = error
      refusal.crossOrigin = (try? crossOrigin.get()) ?? []
      throw refusal
    }
  }

  /// What the client has asked for, as views are told of it.
  ///
  /// - Parameter showsHistory: whether the query may say where in a history the client begins, which only concerns Sluice.
  private func place(_ captures: Captures, showsHistory: Bool) -> RequestPlace {
    var place = RequestPlace(method: request.method, target: request.target, captures: captures)
    if showsHistory { place.ownParameters = [HistoryRequest.parameter] }
    return place
  }

  /// What sessions and streams have in common once their origin is allowed.
  ///
  /// - Parameter credentials: for a route with `auth`.
  private func admitted(
    _ opening: Opening, _ credentials: @autoclosure () -> Credentials
  ) throws(HandshakeRefusal) -> Opening {
    if opening.route.auth != nil {
      opening.credentials = credentials()
    } else {
      // A path with an invalid group name is answered like an unknown path.
      do { try opening.nameGroups() } catch { throw HandshakeRefusal(.noRoute) }
    }
    guard allowance.mayBeSession else { throw HandshakeRefusal(.tooManyConnections) }
    return opening
  }

  /// Last of all that the head tells: whoever is refused for something in it does not count. Before anything that others are asked for, also
  /// for those who are refused then, such as clients with bad tokens: it is their servers, too, that the limit protects.
  private func pay() throws(HandshakeRefusal) {
    if let seconds = rate?.retryAfter() { throw HandshakeRefusal(.handshakesOverLimit(retryAfter: seconds)) }
  }
}

// MARK: - Proxied sessions

extension HeadCheck {
  /// Adds the request to the upstream.
  private func forward(
    _ opening: Opening, of session: SessionOpening, to upstream: UpstreamConfiguration, _ path: RequestPath,
    _ match: RouteMatch
  ) throws(HandshakeRefusal) {
    let target = upstream.target(of: String(decoding: request.target, as: UTF8.self), path, match)
    guard let target else { throw HandshakeRefusal(.ambiguousPath) }
    let hidden = session.route.auth?.tokenParameters ?? []
    let application = served.application
    let isProtectedElsewhere = path.isReadElsewhere(by: application.webSocketRouter, than: match) {
      application.webSocketRoutes[$0].auth != nil
    }
    guard !isProtectedElsewhere else { throw HandshakeRefusal(.mergedSlashes) }
    let request = SessionOpening.UpstreamRequest(
      configuration: upstream,
      handshake: handshake(
        with: upstream, at: target.withoutParameters(hidden), for: session.handshake,
        hidesTokens: session.route.configuration.auth != nil))
    opening.kind = .session(
      SessionOpening(route: session.route, handshake: session.handshake, upstream: request))
  }

  /// The handshake with the upstream, made from the client's.
  ///
  /// - Parameter hidesTokens: whether to leave out subprotocols that look like tokens.
  private func handshake(
    with upstream: UpstreamConfiguration, at target: String, for handshake: Handshake, hidesTokens: Bool
  ) -> ClientHandshake {
    let rules = ForwardedHeaders(connection: request.fields.values(of: "connection"))
    let passed = request.fields.filter {
      rules.passesRequest($0.name) && !$0.name.hasPrefix("sec-websocket-")
    }
    return ClientHandshake(
      target: target, host: upstream.hostField(of: handshake.host),
      subprotocols: hidesTokens
        ? handshake.subprotocols.filter { !$0.hasPrefix(Credentials.subprotocolMark) }
        : handshake.subprotocols,
      fields: passed + ForwardedHeaders.added(host: handshake.host, client: client))
  }
}

// MARK: - Pages of other origins

extension OriginPolicy {
  /// The fields that let pages of other origins read an answer (the Fetch standard, section 3.2), or why the page may not have it.
  package func crossOrigin(_ origins: [String], host: String, client: Client) -> Result<
    [HeaderField], Refusal
  > {
    guard origins.count <= 1 else { return .failure(.severalOrigins) }
    return switch access(origin: origins.first, host: client.host(host), isSecure: client.isSecure) {
    case .refused: .failure(.originNotAllowed)
    case .allowed: .success([])
    case .allowedToAll: .success([HeaderField(name: "Access-Control-Allow-Origin", value: "*")])
    case .allowedWithCredentials:
      .success([
        HeaderField(name: "Access-Control-Allow-Origin", value: origins[0]),
        HeaderField(name: "Access-Control-Allow-Credentials", value: "true"),
        HeaderField(name: "Vary", value: "Origin"),
      ])
    }
  }
}
