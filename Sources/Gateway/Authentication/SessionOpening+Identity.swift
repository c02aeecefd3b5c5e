import Bytes
import Consumers
import GatewayConfig
import JSON
import Routing
import WebSocketCore

extension SessionOpening {
  /// Continues with the client's identity.
  func identified(_ outcome: Authentication) -> Result<SessionOpening, HandshakeRefusal> {
    var opening = self
    opening.credentials = nil
    switch outcome {
    case .identity(let identity): opening.identity = identity
    case .anonymous: break
    case .awaited:
      opening.awaitsToken = true
      return .success(opening)
    case .refused(let refusal): return .failure(HandshakeRefusal(refusal))
    case .unavailable: return .failure(HandshakeRefusal(.identityUnavailable))
    }
    if let refusal = opening.nameGroupsOfClient() { return .failure(refusal) }
    if let identity = opening.identity, opening.upstream != nil {
      opening.upstream?.handshake.fields.append(
        HeaderField(name: "X-Sluice-User", value: identity.user.percentEncodedPath))
    }
    return .success(opening)
  }

  /// Makes the names of the groups, some of which may depend on the client's identity.
  ///
  /// - Returns: the refusal if a name is not valid.
  mutating func nameGroupsOfClient() -> HandshakeRefusal? {
    if nameGroups() { return nil }
    return route.consumer.groups?.refusal(for: captures, identity) ?? HandshakeRefusal(.noRoute)
  }

  /// The subprotocol that contains the client's token: a browser expects the server to choose one of the offered subprotocols.
  var tokenSubprotocol: String? {
    guard route.configuration.auth != nil else { return nil }
    return handshake.subprotocols.first { $0.hasPrefix(Credentials.subprotocolMark) }
  }
}

extension GroupConfiguration {
  /// The refusal if the client's groups have no valid names.
  func refusal(for captures: Captures, _ identity: Identity?) -> HandshakeRefusal {
    // The path leads to no valid name for any client.
    guard templates.allSatisfy({ $0.name(for: captures) { _ in "x" } != nil }) else {
      return HandshakeRefusal(.noRoute)
    }
    guard let identity else { return HandshakeRefusal(.noToken) }
    return HandshakeRefusal(.noGroup, detail: detail(for: identity))
  }

  /// The fact about the client that prevents a valid name, for the log. It repeats nothing of the token.
  private func detail(for identity: Identity) -> String {
    let places = templates.flatMap(\.parts).compactMap { part in
      if case .identity(let place) = part { place } else { nil }
    }
    guard let place = places.first(where: { identity.value(of: $0) == nil }) else {
      return "a value of {\(places.joined(separator: "}, {"))} is not valid in a group name"
    }
    let claim = String(place.dropFirst(GroupPattern.claimPrefix.count))
    let found =
      switch identity.claims[claim] {
      case .array: "is a list"
      case .object: "is an object"
      case .null: "is null"
      case nil: "is missing"
      case .string, .integer, .unsigned, .double, .bool: "is neither text nor a whole number"
      }
    return "the claim \"\(claim)\" \(found), and {\(place)} in \"group\" needs one text or number"
  }
}

extension HandshakeRefusal {
  init(_ refusal: AuthRefusal, detail: String? = nil) {
    self.init(
      .notAuthenticated(refusal.status, refusal.fields, body: refusal.body, reason: refusal.reason),
      detail: detail ?? refusal.detail)
  }
}
