import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import JSON
import Transport
import WebSocketCore

extension Session {
  /// The part of a session that is about who its client is, and for how long.
  final class TokenState {
    /// Where the first message has to show it: what the session becomes then. Until then it is in no group.
    var awaited: SessionOpening?
    /// What the log says of it until then, where it is refused.
    var request: (target: [UInt8]?, peer: PeerAddress)?
    /// The time for that, and later the end of the token.
    var deadline: Timer?
    /// Whether the client was told that its token is about to expire.
    var isExpiring = false
    /// A token that is being looked at; nothing is read meanwhile.
    var ticket: Int?
    /// The groups of one that was found good.
    var groups: GroupsOpening?
  }

  /// How long before the end of its token a client is told.
  private static let notice = Duration.seconds(30)
  /// The clock is looked at again at least this often: it may be set.
  private static let longestWait = Duration.seconds(3600)

  var isAwaitingToken: Bool { standing?.token?.awaited != nil }

  /// Whether reading has to pause until a token is checked.
  var isCheckingToken: Bool {
    guard route.takesTokens, let token = standing?.token else { return false }
    return token.ticket != nil || token.groups != nil
  }

  private var auth: RouteAuth? { route.configuration.auth }

  /// The session is accepted, with or without an identity.
  ///
  /// - Parameter target: of the request.
  func beginToken(_ opening: SessionOpening, target: [UInt8]?, peer: PeerAddress) {
    if opening.awaitsToken {
      let token = TokenState()
      token.awaited = opening
      token.request = (target, peer)
      makeStanding().token = token
      schedule(after: worker.gateway.server.handshake)
    } else if opening.identity != nil {
      makeStanding().token = TokenState()
      begin()
    }
  }

  /// It is known who the client is.
  private func begin() {
    worker.identities.add(self)
    scheduleExpiry()
  }

  /// The session ends, or leaves its groups.
  func endToken() {
    guard let token = standing?.token else { return }
    standing?.token = nil
    token.deadline?.cancel()
    if let ticket = token.ticket { worker.identities.forget(ticket) }
    token.groups?.abandon()
    worker.identities.remove(self)
  }

  // MARK: - Tokens in messages

  /// Answers a message that arrived before the client was authenticated.
  func askForToken() {
    tell("error", #"send {"auth": "TOKEN"} first"#)
  }

  /// Handles a token in a message, the first one or another one.
  func takeToken(_ text: String) {
    guard let auth, let token = standing?.token,
      token.awaited != nil || worker.gateway.authenticators.renews(auth)
    else { return tell("error", "this session expects no token") }
    guard token.ticket == nil else { return }
    token.ticket = worker.authenticate(token: text, by: auth) { [weak self] outcome in
      self?.checked(outcome)
    }
  }

  private func checked(_ outcome: Authentication) {
    guard state == .open, let token = standing?.token else { return }
    token.ticket = nil
    switch outcome {
    case .identity(let identity):
      if let opening = token.awaited { enter(opening, as: identity) } else { renew(as: identity) }
    case .refused(let refusal) where token.awaited == nil && refusal.status == 401:
      // The one before still holds.
      tell("error", refusal.reason)
    case .refused(let refusal):
      refuse(
        refusal.status == 403 ? .notAllowed : .notAuthenticated(refusal.reason),
        detail: refusal.status == 403
          ? [refusal.reason, refusal.detail].compactMap(\.self).joined(separator: ": ") : refusal.detail)
    case .unavailable where token.awaited == nil:
      tell("error", CloseReason.identityUnavailable.text)
    case .unavailable, .anonymous, .awaited:
      refuse(.identityUnavailable)
    }
    readOn()
  }

  /// Ends a session whose client has not shown that it may have it. Where it is not in its groups yet, the log tells of it.
  private func refuse(_ reason: CloseReason, detail: String? = nil) {
    if state == .open, let request = standing?.token?.request {
      worker.refusals.record(reason, detail: detail, target: request.target, peer: request.peer)
    }
    close(reason)
  }

  /// What others do before they are accepted.
  private func enter(_ opening: SessionOpening, as identity: Identity) {
    var opening = opening
    opening.identity = identity
    opening.awaitsToken = false
    if let refusal = opening.nameGroupsOfClient() {
      return refuse(.notAllowed, detail: refusal.detail ?? refusal.text)
    }
    guard !opening.groups.isEmpty, let layer else { return entered(opening) }
    let groups = GroupsOpening(opening.groups, of: layer)
    standing?.token?.groups = groups
    groups.start { [weak self] outcome in
      guard let self, state == .open, let token = standing?.token else { return }
      token.groups = nil
      if outcome == .active {
        entered(opening, groups)
      } else {
        refuse(.identityUnavailable, detail: HandshakeRefusal(.layerUnavailable).text)
      }
      readOn()
    }
  }

  private func entered(_ opening: SessionOpening, _ groups: GroupsOpening? = nil) {
    standing?.token?.awaited = nil
    standing?.token?.request = nil
    know(opening)
    if let groups { join(groups, opening.history) }
    tell("auth", "ok")
    begin()
    goOnReplaying()
  }

  /// Goes on with another token. Its groups stay those that the first one led to.
  private func renew(as identity: Identity) {
    guard let known = self.identity, ExactText(text: identity.user) == ExactText(text: known.user) else {
      return close(.notAuthenticated("the token belongs to another user"))
    }
    standing?.identity = identity
    standing?.token?.isExpiring = false
    tell("auth", "ok")
    scheduleExpiry()
  }

  // MARK: - Its end

  private func schedule(after time: Duration) {
    guard let token = standing?.token else { return }
    let deadline = token.deadline ?? worker.reactor.timer { [unowned self] in timeOut() }
    token.deadline = deadline
    deadline.schedule(after: min(max(time, .zero), Self.longestWait))
  }

  private func scheduleExpiry() {
    guard let expires = identity?.expires else {
      standing?.token?.deadline?.cancel()
      return
    }
    let left = remaining(until: expires)
    guard left > .zero else { return close(.notAuthenticated(Self.expired)) }
    guard let auth, worker.gateway.authenticators.renews(auth), route.takesTokens,
      standing?.token?.isExpiring == false
    else { return schedule(after: left) }
    if left <= Self.notice {
      standing?.token?.isExpiring = true
      tell("auth", "expiring")
      schedule(after: left)
    } else {
      schedule(after: left - Self.notice)
    }
  }

  private static let expired = "the token has expired"

  /// At most some hours; the clock is looked at again then.
  private func remaining(until time: Double) -> Duration {
    .seconds(min(max(time - WallClock.secondsSinceEpoch, 0), 86400))
  }

  private func timeOut() {
    guard state == .open else { return }
    if isAwaitingToken {
      return refuse(isCheckingToken ? .identityUnavailable : .notAuthenticated("no token arrived in time"))
    }
    scheduleExpiry()
  }
}

extension Session: UserSession {}
