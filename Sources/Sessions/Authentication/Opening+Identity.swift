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
  func identified(_ outcome: Authentication) -> HandshakeRefusal? {
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
    do throws(GroupFault) {
      try nameGroups()
    } catch {
      return route.groups?.refusal(for: captures, identity, error) ?? HandshakeRefusal(.noRoute)
    }
    nameUserToUpstream()
    return nil
  }

  /// The view has let the client in, and may have said who it is. Its groups stay those that they were.
  func viewed(_ answer: ViewAnswer) {
    if case .session(let session) = kind { session.answer = answer }
    identity =
      identity?.changed(user: answer.user, claims: answer.claims)
      ?? answer.user.map { Identity(asView: $0, answer.claims) }
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
  func refusal(for captures: Captures, _ identity: Identity?, _ fault: GroupFault) -> HandshakeRefusal {
    // The path leads to no valid name for any client.
    guard templates.allSatisfy({ $0.name(for: captures) { _ in "x" } != nil }) else {
      return HandshakeRefusal(.noRoute)
    }
    guard let identity else { return HandshakeRefusal(.noToken) }
    let detail = fault.detail(for: identity, in: self)
    return switch fault {
    case .notFromView: HandshakeRefusal(.identityUnavailable, detail: detail)
    case .tooMany, .name(.tooManyElements): HandshakeRefusal(.tooManyGroups, detail: detail)
    case .name, .list, .noGroup: HandshakeRefusal(.noGroup, detail: detail)
    }
  }
}

extension HandshakeRefusal {
  init(_ refusal: AuthRefusal, detail: String? = nil) {
    self.init(refusal.answer, detail: detail ?? refusal.detail)
    asked = refusal.asked
  }
}
