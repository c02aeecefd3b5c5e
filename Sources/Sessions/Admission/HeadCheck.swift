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
  /// False once the gateway stops.
  let isServing: Bool

  func opening(to destination: Destination) throws(HandshakeRefusal) -> Opening {
    switch destination {
    case .webSocket: try session()
    case .stream(let route, let place): try stream(of: route, at: place)
    }
  }

  /// What the log says of a refused request besides the reason: of an origin what it was compared with.
  func facts(of refusal: HandshakeRefusal) -> [String: String] {
    guard [.originNotAllowed, .originMissing].contains(refusal.reason) else { return [:] }
    let host = request.fields.values(of: "host").first ?? ""
    let origin = request.fields.values(of: "origin").first
    return OriginPolicy.facts(origin: origin, host: client.host(host))
  }

  private func session() throws(HandshakeRefusal) -> Opening {
    guard isServing else { throw HandshakeRefusal(.stopping) }
    guard case .success(let path) = RequestPath.decode(target: request.target) else {
      throw HandshakeRefusal(.badPath)
    }
    guard let match = served.application.webSocketRouter.match(path) else { throw HandshakeRefusal(.noRoute) }
    let route = served.routes[match.route]
    let handshake = try Handshake.read(request).mapError { HandshakeRefusal(Refusal($0)) }.get()
    guard
      route.configuration.origins.allows(
        origin: handshake.origin, host: client.host(handshake.host), isSecure: client.isSecure)
    else { throw HandshakeRefusal(handshake.origin == nil ? .originMissing : .originNotAllowed) }
    let history = route.numbered == nil ? nil : HistoryRequest(query: path.query)
    if route.numbered != nil, history == nil { throw HandshakeRefusal(.badSince) }
    let session = SessionOpening(route: route, handshake: handshake)
    let opening = try admitted(
      Opening(.session(session), captures: match.captures, history: history),
      Credentials(
        fields: request.fields, query: path.query, subprotocols: handshake.subprotocols,
        host: handshake.host, client: client, captures: match.captures, takesMessage: route.takesTokens))
    guard let upstream = route.configuration.consumer.upstream else { return opening }
    return try forwarded(opening, of: session, to: upstream, path, match)
  }

  private func stream(of route: EventRoute, at place: HTTPPlace) throws(HandshakeRefusal) -> Opening {
    // It can only be missing with HTTP/1.0.
    let host = request.values(of: "host").first ?? ""
    let origins = request.values(of: "origin")
    let crossOrigin = route.configuration.origins.crossOrigin(origins, host: host, client: client)
    do throws(HandshakeRefusal) {
      guard isServing else { throw HandshakeRefusal(.stopping) }
      let crossOrigin = try crossOrigin.mapError { HandshakeRefusal($0) }.get()
      guard let history = HistoryRequest(ofStream: request, query: place.path.query) else {
        throw HandshakeRefusal(.badSince)
      }
      let stream = EventStreamOpening(route: route, crossOrigin: crossOrigin)
      return try admitted(
        Opening(.stream(stream), captures: place.match.captures, history: history),
        Credentials(
          fields: request.fields, query: place.path.query, host: host, client: client,
          captures: place.match.captures))
    } catch {
      var refusal = error
      refusal.crossOrigin = (try? crossOrigin.get()) ?? []
      throw refusal
    }
  }

  /// What sessions and streams have in common once their origin is allowed.
  ///
  /// - Parameter credentials: for a route with `auth`.
  private func admitted(
    _ opening: Opening, _ credentials: @autoclosure () -> Credentials
  ) throws(HandshakeRefusal) -> Opening {
    var opening = opening
    if opening.route.auth != nil {
      opening.credentials = credentials()
    } else {
      // A path with an invalid group name is answered like an unknown path.
      do { try opening.nameGroups() } catch { throw HandshakeRefusal(.noRoute) }
    }
    guard allowance.mayBeSession else { throw HandshakeRefusal(.tooManyConnections) }
    return opening
  }
}

// MARK: - Proxied sessions

extension HeadCheck {
  /// Adds the request to the upstream.
  private func forwarded(
    _ opening: Opening, of session: SessionOpening, to upstream: UpstreamConfiguration, _ path: RequestPath,
    _ match: RouteMatch
  ) throws(HandshakeRefusal) -> Opening {
    let target = upstream.target(of: String(decoding: request.target, as: UTF8.self), path, match)
    guard let target else { throw HandshakeRefusal(.ambiguousPath) }
    let application = served.application
    let isProtectedElsewhere = path.isReadElsewhere(by: application.webSocketRouter, than: match) {
      application.webSocketRoutes[$0].auth != nil
    }
    guard !isProtectedElsewhere else { throw HandshakeRefusal(.mergedSlashes) }
    var session = session
    session.upstream = .init(
      configuration: upstream,
      handshake: handshake(
        with: upstream, at: target, for: session.handshake,
        hidesTokens: session.route.configuration.auth != nil))
    var opening = opening
    opening.kind = .session(session)
    return opening
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
