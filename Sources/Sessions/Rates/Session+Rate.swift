import ChannelLayers
import Consumers
import GatewayConfig
import Logging
import Transport
import WebSocketCore

/// Sessions whose messages are counted. The others never come here.
extension Session {
  /// Whether the client is not read because it has sent too much.
  var isPausing: Bool { feed.extras?.meter?.isPausing == true }

  /// Counts from now on: for a route with a rate, and for the user, once it is known.
  func beginMeter() {
    guard route.configuration.limits.countsMessages else { return }
    let extras = feed.makeExtras()
    let meter = extras.meter ?? MessageMeter(route.configuration.limits.rate)
    extras.meter = meter
    guard meter.user == nil, let identity else { return }
    meter.user = worker.process.users?.place(of: identity.user)
    // Another connection is no new start.
    guard let wait = meter.debt(at: worker.reactor.now.nanoseconds) else { return }
    pause(meter, for: wait)
    connection.pauseReading()
  }

  /// The route has other limits than before.
  func exchangeMeter() {
    guard let meter = feed.extras?.meter else { return beginMeter() }
    guard route.configuration.limits.countsMessages else { return endMeter() }
    meter.adopt(route.configuration.limits.rate)
    // What the user pays may be another price.
    if let identity { meter.user = worker.process.users?.place(of: identity.user) }
  }

  func endMeter() {
    guard let extras = feed.extras, let meter = extras.meter else { return }
    meter.timer?.cancel()
    extras.meter = nil
    if meter.isPausing { readOn() }
  }

  /// Handles a message of a client whose messages are counted, if it is not one too many.
  func counted(_ kind: MessageKind, _ payload: RawSpan, by meter: MessageMeter) -> Flow {
    switch meter.count(at: worker.reactor.now.nanoseconds) {
    case .allowed: break
    case .allowedBefore(let wait): pause(meter, for: wait)
    case .over(let wait):
      refuse(meter, for: wait)
      return .proceed
    }
    if !takesControl(kind, payload) { route.consumer.received(kind, payload, from: self) }
    guard state == .open, isHeldBack else { return .proceed }
    record?.received(payload.byteCount)
    return .pause
  }

  /// Leaves what the client sends in the kernel's buffer, so that TCP makes it wait.
  func pause(_ meter: MessageMeter, for wait: UInt64) {
    note(meter)
    meter.isPausing = true
    // Unowned: the end of the session cancels it.
    let timer = meter.timer ?? worker.reactor.timer { [unowned self] in pauseIsOver() }
    meter.timer = timer
    timer.schedule(after: .nanoseconds(wait))
  }

  private func pauseIsOver() {
    feed.extras?.meter?.isPausing = false
    readOn()
  }

  private func refuse(_ meter: MessageMeter, for wait: UInt64) {
    note(meter)
    if meter.closes { return close(.tooManyMessages) }
    tell("error", "too many messages: the next one is accepted in \(RatePrice.seconds(wait)) s")
  }

  /// The log tells of a client once.
  private func note(_ meter: MessageMeter) {
    guard !meter.isKnown else { return }
    meter.isKnown = true
    worker.process.note(tooFast: self)
  }
}

extension ProcessState {
  /// Writes a line about a client that sends faster than it may.
  fileprivate func note(tooFast session: Session) {
    let rate = session.route.configuration.limits.rate
    log.log(
      "a client sent too many messages", at: .info, paced: ratePace,
      [
        "route": "\(session.route.name)", "user": session.identity.map { "\($0.user)" },
        "over": "\(rate.excess.rawValue)", "hint": "the limits are limits.rate and limits.per_user.messages",
      ])
  }
}
