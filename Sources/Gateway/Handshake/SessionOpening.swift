import Consumers
import GatewayConfig
import Routing
import Transport
import WebSocketCore

/// A WebSocket hand-shake that passed every check: the session it opens.
struct SessionOpening {
  var route: SessionRoute
  /// What the path captured.
  var captures: Captures
  /// Who the client has shown itself to be.
  var identity: Identity?
  /// Those that the session joins before it is accepted; what it sends goes to the first.
  var groups: [String] = []
  /// Where the first of them keeps a history: what of it the session begins with.
  var history: HistoryWish?
  var handshake: Handshake
  /// What shows who the client is, where the route asks for it and it is not known yet.
  var credentials: Credentials?
  /// Whether the first message has to show who the client is.
  var awaitsToken = false
  /// What the upstream of a `proxy` route is asked before the client is accepted.
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
  /// Makes the names of the groups, now that it is known who the client is.
  ///
  /// - Returns: false where one of them is a name that the channel layer would not take, for one because it is too long.
  mutating func nameGroups() -> Bool {
    guard let configuration = route.consumer.groups else { return true }
    guard let names = configuration.names(for: captures, identity) else { return false }
    groups = names
    return true
  }
}

extension GroupConfiguration {
  /// The groups that a client is in, each once.
  ///
  /// - Returns: nil where one of them is a name that the channel layer would not take.
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
  /// Checks a hand-shake in the order in which a client can mend it: its path, its form, its origin, then our own state.
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
    return Handshake.read(request).flatMap { handshake in
      guard
        route.configuration.origins.allows(
          origin: handshake.origin, host: client.host(handshake.host), isSecure: client.isSecure)
      else {
        return .failure(HandshakeRefusal(.originNotAllowed))
      }
      var opening = SessionOpening(route: route, captures: match.captures, handshake: handshake)
      if route.numbered != nil {
        guard let wish = HistoryWish(query: path.query) else { return .failure(HandshakeRefusal(.badSince)) }
        opening.history = wish
      }
      if route.configuration.auth == nil {
        // Without its group there is nothing there.
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
        let merged = path.withMergedSlashes.flatMap(gateway.application.webSocketRouter.match)
        if let merged, merged.route != match.route,
          gateway.routes[merged.route].configuration.auth != nil
        {
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

  /// What the client asked for, asked again of the upstream.
  ///
  /// - Parameter hidesTokens: whether what looks like a token among the subprotocols is none of the upstream's.
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
