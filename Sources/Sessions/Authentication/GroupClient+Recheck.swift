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
    scheduleRecheck(standing, isFirst: true, isUnanswered: false)
  }

  func endRechecks() {
    guard let extras = feed.extras, let standing = extras.standing else { return }
    extras.standing = nil
    standing.timer?.cancel()
    if let ticket = standing.ticket { identities.forget(ticket) }
  }

  private func scheduleRecheck(_ standing: StandingQuestion, isFirst: Bool, isUnanswered: Bool) {
    guard let interval = route.auth?.recheck else { return }
    // Unowned is sound: `endRechecks` cancels the timer, and every client leaves its groups before it is released.
    let timer = standing.timer ?? connection.reactor.timer { [unowned self] in recheck() }
    standing.timer = timer
    timer.schedule(
      after: StandingQuestion.pause(
        interval, isFirst: isFirst, isUnanswered: isUnanswered, random: .random(in: 0...1)))
  }

  private func recheck() {
    guard isOpen, let standing = feed.extras?.standing, standing.ticket == nil, let auth = route.auth else {
      return
    }
    let (identity, credentials) = (identity, standing.credentials)
    standing.ticket = worker.authenticate(by: { await auth.recheck(identity, credentials) }) {
      [weak self] outcome in self?.rechecked(outcome, as: identity)
    }
  }

  /// - Parameter identity: the one that was asked about.
  private func rechecked(_ outcome: Authentication, as identity: Identity?) {
    guard isOpen, let standing = feed.extras?.standing else { return }
    standing.ticket = nil
    switch outcome {
    case .identity(let new): goOn(as: new, insteadOf: identity)
    case .anonymous: if identity != nil { end(.userGone) }
    case .refused(let refusal):
      switch refusal.answer.answerStatus {
      case 401: end(.userGone)
      // The view asks for fewer questions.
      case 429: return scheduleRecheck(standing, isFirst: false, isUnanswered: false)
      default: end(.permissionGone)
      }
    // The view is away: whoever is in stays.
    case .unavailable, .awaited: return scheduleRecheck(standing, isFirst: false, isUnanswered: true)
    }
    if isOpen { scheduleRecheck(standing, isFirst: false, isUnanswered: false) }
  }

  /// Takes what is known of the client now.
  private func goOn(as new: Identity, insteadOf asked: Identity?) {
    // A client that was let in without a name keeps having none.
    guard let known = identity else { return }
    guard ExactText(text: new.user) == ExactText(text: known.user) else { return end(.userGone) }
    // A token that has come meanwhile counts.
    guard known === asked else { return }
    guard changeGroups(to: new) else { return end(.groupsChanged) }
    feed.extras?.identity = new
    scheduleExpiry()
  }

  private func end(_ reason: CloseReason) {
    if let credentials = feed.extras?.standing?.credentials {
      worker.refusals.ended(
        reason, route: routeName, target: credentials.request.target, peer: credentials.client.peer)
    }
    close(reason)
  }
}
