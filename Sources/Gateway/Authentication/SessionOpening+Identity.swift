import Consumers
import GatewayConfig
import JSON
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
    guard let identity else { return HandshakeRefusal(.noToken) }
    return HandshakeRefusal(.noGroup, detail: detail(for: identity))
  }

  /// For the log: what about the client leads to no name. Nothing that a token says is repeated.
  private func detail(for identity: Identity) -> String {
    let places = templates.flatMap(\.parts).compactMap { part in
      if case .identity(let place) = part { place } else { nil }
    }
    guard let place = places.first(where: { identity.value(of: $0) == nil }) else {
      return "a value of {\(places.joined(separator: "}, {"))} is no part of a group name"
    }
    let claim = String(place.dropFirst(GroupTemplate.claimPrefix.count))
    let found =
      switch identity.claims[claim] {
      case .array: "is a list"
      case .object: "is an object"
      case .null: "is null"
      case nil: "is missing"
      case .string, .integer, .unsigned, .double, .bool: "is no text and no whole number"
      }
    return "the claim \"\(claim)\" \(found), and {\(place)} in \"group\" needs one text or number"
  }
}

extension HandshakeRefusal {
  init(_ refusal: AuthRefusal, detail: String? = nil) {
    self.init(
      .notAuthenticated(refusal.status, refusal.fields, body: refusal.body, reason: refusal.reason),
      detail: detail)
  }
}
