import Consumers
import Transport
import WebSocketCore

extension GroupClient {
  /// The client was accepted, and it is known who it is. Does nothing for an anonymous client.
  func beginToken() {
    beginRechecks()
    guard identity != nil else { return }
    let extras = feed.makeExtras()
    if extras.token == nil { extras.token = GroupFeed.TokenState() }
    identities.add(self)
    scheduleExpiry()
  }

  /// The client is known to nobody any more.
  func endToken() {
    endRechecks()
    guard let extras = feed.extras, let token = extras.token else { return }
    extras.token = nil
    token.timer?.cancel()
    if let ticket = token.ticket { identities.forget(ticket) }
    token.groups?.abandon()
    identities.remove(self)
  }

  /// Ends the session of a token that has expired, or looks at it again in time.
  func scheduleExpiry() {
    guard let identity, let expires = identity.expires else {
      feed.extras?.token?.timer?.cancel()
      return
    }
    let isTold = isToldOfExpiry && feed.extras?.token?.isExpiring == false
    switch TokenExpiry(at: expires, now: WallClock.secondsSinceEpoch, isTold: isTold) {
    case .expired where identity.endsWithPermission: close(.permissionOver)
    case .expired: close(route.auth?.keepsSessions == true ? .sessionOld : .tokenExpired)
    case .notice(let rest):
      feed.extras?.token?.isExpiring = true
      tellOfExpiry()
      scheduleToken(after: rest)
    case .later(let pause): scheduleToken(after: pause)
    }
  }

  /// Sets the token's timer, if the client has a token or is to show one.
  func scheduleToken(after time: Duration) {
    guard let extras = feed.extras, let token = extras.token else { return }
    // Unowned is sound: `endToken` cancels the timer, and every client leaves its groups before it is released.
    let timer = token.timer ?? connection.reactor.timer { [unowned self] in tokenTimeIsUp() }
    extras.token?.timer = timer
    timer.schedule(after: min(max(time, .zero), TokenExpiry.longestWait))
  }
}
