import Consumers
import GatewayConfig
import Routing
import WebSocketCore

extension SessionOpening {
  /// Goes on with what is known of the client now.
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

  /// Makes the names of the groups, some of which may depend on who the client is.
  ///
  /// - Returns: why there are none.
  mutating func nameGroupsOfClient() -> HandshakeRefusal? {
    if nameGroups() { return nil }
    return route.consumer.groups?.refusal(for: captures, identity) ?? HandshakeRefusal(.noRoute)
  }

  /// The subprotocol that a client put its token into: a browser wants one of those it offers to be chosen.
  var tokenSubprotocol: String? {
    guard route.configuration.auth != nil else { return nil }
    return handshake.subprotocols.first { $0.hasPrefix(Credentials.subprotocolMark) }
  }
}

extension GroupConfiguration {
  /// Why there are no names of groups for a client.
  func refusal(for captures: Captures, _ identity: Identity?) -> HandshakeRefusal {
    // Whoever it were, the path leads to no group.
    guard templates.allSatisfy({ $0.name(for: captures) { _ in "x" } != nil }) else {
      return HandshakeRefusal(.noRoute)
    }
    return HandshakeRefusal(identity == nil ? .noToken : .noGroup)
  }
}

extension HandshakeRefusal {
  init(_ refusal: AuthRefusal) {
    self.init(
      .notAuthenticated(refusal.status, refusal.fields, body: refusal.body, reason: refusal.reason))
  }
}
