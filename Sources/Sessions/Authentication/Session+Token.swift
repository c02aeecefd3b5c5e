import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import Transport
import WebSocketCore

extension Session {
  var takesTokens: Bool { route.takesTokens }

  var isAwaitingToken: Bool { feed.extras?.token?.awaited != nil }

  /// Whether a token is being checked.
  private var isCheckingToken: Bool {
    guard let token = feed.extras?.token else { return false }
    return token.ticket != nil || token.groups != nil
  }

  /// Whether reading has to pause: until a token is checked, or because the client has sent too much.
  var isHeldBack: Bool {
    route.hasControls && state == .open && (isPausing || isCheckingToken || view?.isHoldingBack == true)
  }

  /// The session is accepted, and its client has to show a token in its first message.
  func awaitToken(_ awaited: GroupFeed.AwaitedToken) {
    feed.makeExtras().token = GroupFeed.TokenState(awaited: awaited)
    scheduleToken(after: worker.served.server.handshake)
  }

  // MARK: - Tokens in messages

  /// Handles a token in a message, the first one or another one.
  func takeToken(_ text: String) {
    guard let auth = route.auth, let extras = feed.extras, extras.token != nil, isAwaitingToken || auth.renews
    else { return tell("error", "this session expects no token") }
    guard extras.token?.ticket == nil else { return }
    if auth.asksAboutTokens, !isAwaitingToken, let seconds = waitForRenewal(extras) {
      return tell("error", "too many tokens: the next one is accepted in \(seconds) s")
    }
    // Another token is no other handshake.
    let users = isAwaitingToken ? worker.process.users : nil
    let (credentials, captures) = (extras.standing?.credentials, self.captures)
    extras.token?.ticket = worker.authenticate(by: {
      await auth.authenticate(token: text, credentials, for: captures, counting: users)
    }) { [weak self] outcome in self?.checked(outcome) }
  }

  /// A client may renew its token as often as it likes, but not have a view asked as often: five times at once, and then once in ten
  /// seconds. What the view said of an earlier token says nothing of this one.
  private static let renewals = RatePrice(every: .seconds(10), burst: 5)

  /// Counts another token.
  ///
  /// - Returns: the seconds until one is accepted, if there were too many.
  private func waitForRenewal(_ extras: GroupFeed.Extras) -> Int? {
    let (now, paidAt) = (worker.reactor.now.nanoseconds, extras.token?.renewalsPaidAt ?? 0)
    if let wait = Self.renewals.wait(paidAt, at: now) { return RatePrice.seconds(wait) }
    extras.token?.renewalsPaidAt = Self.renewals.paying(paidAt, at: now)
    return nil
  }

  private func checked(_ outcome: Authentication) {
    guard state == .open, let extras = feed.extras, extras.token != nil else { return }
    extras.token?.ticket = nil
    switch outcome {
    case .identity(let identity):
      if isAwaitingToken { goOnEntering(.identified(outcome)) } else { renew(as: identity) }
    case .refused(let refusal):
      if let ending = refusal.ending(isFirst: isAwaitingToken) {
        refuse(ending.reason, detail: ending.detail, asked: ending.asked)
      } else {
        // The one before still holds.
        tell("error", refusal.answer.text)
      }
    case .unavailable where !isAwaitingToken: tell("error", CloseReason.identityUnavailable.text)
    case .unavailable, .anonymous, .awaited: refuse(.identityUnavailable)
    }
    readOn()
  }

  /// Ends a session whose client has not shown that it may have it. Where it is not in its groups yet, the log tells of it.
  private func refuse(
    _ reason: CloseReason, detail: String? = nil, asked: UpstreamUser? = nil, user: String? = nil
  ) {
    if state == .open, let request = feed.extras?.token?.awaited {
      worker.refusals.record(
        reason, detail: detail, asked: asked, user: user, target: request.target, peer: request.peer)
    }
    close(reason)
  }

  /// Takes the steps that others take before they are accepted.
  ///
  /// - Parameter groups: those that were subscribed to.
  private func goOnEntering(_ event: Admission.Event, in groups: GroupsOpening? = nil) {
    switch feed.extras?.token?.awaited?.admission.next(event) {
    case .subscribe(let names, let layer):
      // The user can be disconnected from here on.
      feed.extras?.identity = feed.extras?.token?.awaited?.admission.waiting?.identity
      worker.identities.add(self)
      subscribe(to: names, of: worker.layers[layer].layer)
    case .askView(let opening): meetView(opening, in: groups)
    case .accept(let opening) where view != nil: viewed(opening)
    case .accept(let opening): entered(opening, groups)
    case .refuse(let refusal) where refusal.reason.isOrder:
      groups?.abandon()
      refuse(.disconnected.saying(refusal.text), user: refusal.user)
    case .refuse(let refusal) where view != nil: refuse(refusal.reason.closeReason, detail: refusal.detail)
    case .refuse(let refusal):
      refuse(
        refusal.reason == .layerUnavailable ? .identityUnavailable : .notAllowed,
        detail: refusal.detail ?? refusal.text)
    // Steps of a request that is not answered yet, or of a proxied session, which takes no token in a message.
    case .ask, .dial, .handToHTTP, .answer, .abort, nil: break
    }
  }

  private func subscribe(to names: [String], of layer: any ChannelLayer) {
    let groups = GroupsOpening(names, of: layer)
    feed.extras?.token?.groups = groups
    groups.start { [weak self] outcome in
      guard let self, state == .open, let extras = feed.extras, extras.token != nil else { return }
      extras.token?.groups = nil
      goOnEntering(.subscribed(outcome), in: groups)
      readOn()
    }
  }

  /// The view is asked about a client whose connection is open. It is not read meanwhile.
  private func meetView(_ opening: Opening, in groups: GroupsOpening?) {
    feed.keep(opening, hasControls: false)
    meetView(opening, in: groups, within: worker.served.server.handshake) { [weak self] outcome in
      guard let self, state == .open else { return false }
      goOnEntering(.viewed(outcome))
      return state == .open
    }
  }

  private func viewed(_ opening: Opening) {
    feed.extras?.token?.awaited = nil
    take(opening.identity)
    beginMeter()
    joinPresence()
    judgeMute()
    tell("auth", "ok")
    beginToken()
  }

  private func entered(_ opening: Opening, _ groups: GroupsOpening? = nil) {
    feed.extras?.token?.awaited = nil
    feed.keep(opening, hasControls: route.hasControls, needsCaptures: route.needsCaptures)
    beginMeter()
    if let groups { join(groups, opening.history) }
    tell("auth", "ok")
    beginToken()
    route.consumer.greet(self)
    goOnReplaying()
  }

  /// Goes on with another token. Its groups stay those that the first one led to.
  private func renew(as identity: Identity) {
    guard let current = self.identity, let known = self.identity.authenticated,
      ExactText(text: identity.user) == ExactText(text: known.user)
    else {
      return close(.tokenOfOther)
    }
    feed.extras?.identity = identity.changed(like: current)
    identityChanged()
    feed.extras?.token?.isExpiring = false
    tell("auth", "ok")
    scheduleExpiry()
  }

  // MARK: - Its end

  var isToldOfExpiry: Bool {
    route.takesTokens && route.auth?.renews == true
  }

  func tellOfExpiry() {
    tell("auth", "expiring")
  }

  func tokenTimeIsUp() {
    guard state == .open else { return }
    if isAwaitingToken {
      if view != nil { return refuse(.viewAway) }
      return refuse(isCheckingToken ? .identityUnavailable : .tokenLate)
    }
    scheduleExpiry()
  }
}
