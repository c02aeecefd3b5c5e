import Consumers
import GatewayConfig
import Routing
import Transport
import WebSocketCore

/// A WebSocket handshake that passed every check, and the session it opens.
struct SessionOpening {
  var route: SessionRoute
  /// The captures of the path.
  var captures: Captures
  /// The client's identity.
  var identity: Identity?
  /// The groups that the session joins before it is accepted. Its messages go to the first one.
  var groups: [String] = []
  /// Where in the history of the first group the session begins, if that group keeps one.
  var history: HistoryWish?
  var handshake: Handshake
  /// The client's credentials, while it has to be authenticated.
  var credentials: Credentials?
  /// Whether the first message has to contain a token.
  var awaitsToken = false
  /// The request to the upstream of a `proxy` route, before the client is accepted.
  var upstream: UpstreamRequest?

  struct UpstreamRequest {
    var configuration: UpstreamConfiguration
    var handshake: ClientHandshake
  }

  /// The bytes of the 101 answer, with the upstream's subprotocol or the one that the route prefers.
  func response(
    compression: CompressionAgreement?, through upstream: UpstreamOpening.Opened?
  ) -> [UInt8] {
    if let upstream {
      return handshake.response(
        subprotocol: upstream.subprotocol ?? tokenSubprotocol, compression: compression,
        fields: upstream.fields)
    }
    let subprotocol =
      handshake.chooseSubprotocol(from: route.configuration.subprotocols) ?? tokenSubprotocol
    return handshake.response(subprotocol: subprotocol, compression: compression)
  }
}

extension SessionOpening {
  /// Makes the names of the groups, once the client's identity is known.
  ///
  /// - Returns: false if a name is not valid for the channel layer, for example because it is too long.
  mutating func nameGroups() -> Bool {
    guard let configuration = route.consumer.groups else { return true }
    guard let names = configuration.names(for: captures, identity) else { return false }
    groups = names
    return true
  }
}

extension GroupConfiguration {
  /// The client's groups, each once.
  ///
  /// - Returns: nil if a name is not valid for the channel layer.
  func names(for captures: Captures, _ identity: Identity?) -> [String]? {
    var names: [String] = []
    for template in templates {
      let name = template.name(for: captures) { identity?.value(of: $0) }
      guard let name else { return nil }
      if !names.contains(name) { names.append(name) }
    }
    return names
  }
}

extension Worker {
  /// Checks a handshake in the order in which a client can correct it: its path, its form, its origin, then the state of the
  /// gateway.
  func decide(
    _ request: RequestHead, _ admission: Admission, from client: Client
  ) -> Result<SessionOpening, HandshakeRefusal> {
    guard isServing else { return .failure(HandshakeRefusal(.stopping)) }
    guard case .success(let path) = RequestPath.decode(target: request.target) else {
      return .failure(HandshakeRefusal(.badPath))
    }
    guard let match = gateway.application.webSocketRouter.match(path) else {
      return .failure(HandshakeRefusal(.noRoute))
    }
    let route = gateway.routes[match.route]
    return Handshake.read(request).mapError(HandshakeRefusal.init(fault:)).flatMap { handshake in
      guard
        route.configuration.origins.allows(
          origin: handshake.origin, host: client.host(handshake.host), isSecure: client.isSecure)
      else {
        return .failure(HandshakeRefusal(handshake.origin == nil ? .originMissing : .originNotAllowed))
      }
      var opening = SessionOpening(route: route, captures: match.captures, handshake: handshake)
      if route.numbered != nil {
        guard let wish = HistoryWish(query: path.query) else { return .failure(HandshakeRefusal(.badSince)) }
        opening.history = wish
      }
      if route.configuration.auth == nil {
        // A path with an invalid group name is answered like an unknown path.
        guard opening.nameGroups() else { return .failure(HandshakeRefusal(.noRoute)) }
      } else {
        opening.credentials = Credentials(
          fields: request.fields, query: path.query, subprotocols: handshake.subprotocols,
          host: handshake.host, client: client, takesMessage: route.takesTokens)
      }
      guard admission.mayBeSession else {
        return .failure(HandshakeRefusal(.tooManyConnections))
      }
      if case .proxy(let proxy) = route.consumer {
        let target = proxy.upstream.target(
          of: String(decoding: request.target, as: UTF8.self), path, match)
        guard let target else { return .failure(HandshakeRefusal(.ambiguousPath)) }
        guard !isProtectedElsewhere(path, match) else {
          return .failure(HandshakeRefusal(.mergedSlashes))
        }
        opening.upstream = .init(
          configuration: proxy.upstream,
          handshake: Self.handshake(
            with: proxy.upstream, at: target, for: handshake, request.fields, from: client,
            hidesTokens: route.configuration.auth != nil))
      }
      return .success(opening)
    }
  }

  /// Whether a server could read the path as one for which another route needs authentication.
  private func isProtectedElsewhere(_ path: RequestPath, _ match: RouteMatch) -> Bool {
    path.otherReadings.contains { reading in
      guard let other = gateway.application.webSocketRouter.match(reading), other.route != match.route else {
        return false
      }
      return gateway.routes[other.route].configuration.auth != nil
    }
  }

  /// The handshake with the upstream, made from the client's.
  ///
  /// - Parameter hidesTokens: whether to leave out subprotocols that look like tokens.
  private static func handshake(
    with upstream: UpstreamConfiguration, at target: String, for handshake: Handshake,
    _ fields: [HeaderField], from client: Client, hidesTokens: Bool
  ) -> ClientHandshake {
    let rules = ForwardedHeaders(connection: fields.values(of: "connection"))
    let passed = fields.filter { rules.passesRequest($0.name) && !$0.name.hasPrefix("sec-websocket-") }
    let added = ForwardedHeaders.added(host: handshake.host, client: client)
    return ClientHandshake(
      target: target, host: upstream.hostField(of: handshake.host),
      subprotocols: hidesTokens
        ? handshake.subprotocols.filter { !$0.hasPrefix(Credentials.subprotocolMark) }
        : handshake.subprotocols,
      fields: passed + added.map { HeaderField(name: $0.name, value: $0.value) })
  }
}
