import Bytes
import Consumers
import GatewayConfig
import JSON
import Routing
import WebSocketCore

extension Opening {
  /// Continues with the client's identity.
  ///
  /// - Returns: the refusal if the client is not authenticated, or its groups have no valid names.
  mutating func identified(_ outcome: Authentication) -> HandshakeRefusal? {
    if let credentials, let auth = route.auth, auth.keepsCredentials { standing = auth.kept(credentials) }
    credentials = nil
    switch outcome {
    case .identity(let identity): self.identity = identity
    case .anonymous: break
    case .awaited:
      // A client of an event stream cannot send a message with a token.
      guard case .session = kind else { return HandshakeRefusal(.noToken) }
      awaitsToken = true
      return nil
    case .refused(let refusal): return HandshakeRefusal(refusal)
    case .unavailable: return HandshakeRefusal(.identityUnavailable)
    }
    awaitsToken = false
    guard nameGroups() else {
      return route.groups?.refusal(for: captures, identity) ?? HandshakeRefusal(.noRoute)
    }
    nameUserToUpstream()
    return nil
  }

  private func nameUserToUpstream() {
    guard let identity, case .session(let session) = kind else { return }
    session.upstream?.handshake.fields.append(
      HeaderField(name: "X-Sluice-User", value: identity.user.percentEncodedPath))
  }
}

extension SessionOpening {
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
      case nil: "is missing"
      case .double: "is neither text nor a whole number"
      case let value?: value.kindInWords
      }
    return "the claim \"\(claim)\" \(found), and {\(place)} in \"group\" needs one text or number"
  }
}

extension HandshakeRefusal {
  init(_ refusal: AuthRefusal, detail: String? = nil) {
    self.init(refusal.answer, detail: detail ?? refusal.detail)
  }
}
