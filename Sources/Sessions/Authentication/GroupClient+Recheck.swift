import Bytes
import Consumers
import GatewayConfig
import Transport
import WebSocketCore

/// Asking again, while a session is open, whether its client may stay.
extension GroupClient {
  /// The client was accepted. Does nothing where no view is asked again.
  func beginRechecks() {
    guard let standing = feed.extras?.standing, standing.timer == nil else { return }
    planRechecks(standing)
  }

  func endRechecks() {
    guard let extras = feed.extras, let standing = extras.standing else { return }
    extras.standing = nil
    standing.timer?.cancel()
    if let ticket = standing.ticket { identities.forget(ticket) }
  }

  /// The route may ask after another time than before, or not at all: then what is being asked means nothing either.
  func replanRechecks() {
    guard let standing = feed.extras?.standing, feed.extras?.token?.awaited == nil else { return }
    guard route.auth?.keepsCredentials == true else { return endRechecks() }
    planRechecks(standing)
  }

  /// - Parameter views: those that have been asked.
  private func planRechecks(
    _ standing: StandingQuestion, after views: Set<StandingQuestion.View> = [], isUnanswered: Bool = false
  ) {
    standing.times.plan(after: views, route.auth?.rechecks ?? [:], isUnanswered: isUnanswered)
    setRecheckTimer(standing)
  }

  private func setRecheckTimer(_ standing: StandingQuestion) {
    guard let wait = standing.times.wait() else {
      standing.timer?.cancel()
      return
    }
    // Unowned is sound: `endRechecks` cancels the timer, and every client leaves its groups before it is released.
    let timer = standing.timer ?? connection.reactor.timer { [unowned self] in recheck() }
    standing.timer = timer
    timer.schedule(after: wait)
  }

  private func recheck() {
    guard isOpen, let standing = feed.extras?.standing, standing.ticket == nil, let auth = route.auth else {
      return
    }
    let views = standing.times.views()
    guard !views.isEmpty else { return setRecheckTimer(standing) }
    let (identity, credentials) = (identity.authenticated, standing.credentials)
    standing.ticket = worker.authenticate(by: { await auth.recheck(identity, credentials, asking: views) }) {
      [weak self] outcome in self?.rechecked(outcome, as: identity, by: views)
    }
  }

  /// - Parameters:
  ///   - identity: the one that was asked about.
  ///   - views: those that were asked.
  private func rechecked(
    _ outcome: Authentication, as identity: Identity?, by views: Set<StandingQuestion.View>
  ) {
    guard isOpen, let standing = feed.extras?.standing else { return }
    standing.ticket = nil
    var isUnanswered = false
    switch outcome {
    case .identity(let new): isUnanswered = !goOn(as: new, insteadOf: identity)
    case .anonymous: if identity != nil { end(.userGone) }
    case .refused(let refusal):
      switch refusal.answer.answerStatus {
      case 401: end(.userGone, asked: refusal.asked)
      // The view asks for fewer questions.
      case 429: break
      default: end(.permissionGone, asked: refusal.asked)
      }
    // The view is away: whoever is in stays.
    case .unavailable, .awaited: isUnanswered = true
    }
    if isOpen { planRechecks(standing, after: views, isUnanswered: isUnanswered) }
  }

  /// Takes what is known of the client now.
  ///
  /// - Returns: false if it cannot be used, so that what was known before still holds.
  private func goOn(as new: Identity, insteadOf asked: Identity?) -> Bool {
    // A client that was let in without a name keeps having none.
    guard let current = self.identity, let known = self.identity.authenticated else { return true }
    guard ExactText(text: new.user) == ExactText(text: known.user) else {
      end(.userGone)
      return true
    }
    // A token that has come meanwhile counts.
    guard known === asked else { return true }
    switch changeGroups(to: new) {
    case .changed: break
    case .unusable: return false
    case .ended(let reason):
      end(reason)
      return true
    }
    feed.extras?.identity = new.changed(like: current)
    identityChanged()
    // The client is told of another end too.
    if new.expires != known.expires { feed.extras?.token?.isExpiring = false }
    scheduleExpiry()
    return true
  }

  private func end(_ reason: CloseReason, asked: UpstreamUser? = nil) {
    if let credentials = feed.extras?.standing?.credentials {
      worker.refusals.ended(
        reason, route: routeName, target: credentials.request.target, peer: credentials.client.peer,
        asked: asked)
    }
    close(reason)
  }
}
