import Bytes
import ChannelLayers
import Consumers
import Routing
import Transport
import WebSocketCore

extension Session {
  var isBound: Bool { connection.isBound || upstream != nil && route.isBound }

  func handedState(_ chunks: UnsentChunks) -> SessionState? {
    guard state == .open || state == .closing else { return leavingState(chunks, record) }
    guard !isBound, let connection = connection.state(chunks), let feed = handedFeed() else { return nil }
    var handed = SessionState(.webSocket, connection)
    handed.route = route.name
    handed.wayIn = wayIn
    handed.site = place?.site
    handed.feed = feed
    handed.log = record?.handed
    // After the close frame the rest is between the view and the gateway.
    if state == .open, let view {
      guard let state = view.handedState() else { return nil }
      handed.webSocket.view = state
    }
    if let upstream {
      guard let other = upstream.handedState(chunks) else { return nil }
      handed.webSocket.upstream = other
    }
    handed.webSocket.decoder = decoder.state
    handed.webSocket.compression = compression.map(CompressionState.init)
    if let (lastReceived, pingedAt) = keepAlive?.times {
      handed.webSocket.lastReceived = lastReceived
      handed.webSocket.pingedAt = pingedAt
    }
    if state == .closing { handed.webSocket.closesAt = closeDeadline?.due?.nanoseconds ?? 0 }
    return handed
  }

  /// Goes on where the session was in another process.
  ///
  /// - Parameter captures: of its path by the route that it has here.
  func resume(_ handed: SessionState, at captures: Captures) {
    wayIn = worker.shared(handed.wayIn)
    place = worker.process.place(again: handed.site)
    record = handed.log.map { SessionRecord($0, log: worker.process.log) }
    if let decoder = handed.webSocket.decoder { self.decoder.resume(decoder) }
    keepAlive?.times = (handed.webSocket.lastReceived, handed.webSocket.pingedAt)
    if let end = handed.webSocket.closesAt { return awaitAnswer(until: MonotonicTime(nanoseconds: end)) }
    if let view = handed.webSocket.view, !resume(view, at: captures) {
      return close(.restart(code: .serviceRestart))
    }
    resume(handed.feed)
    take(captures, of: route)
    feed.extras?.standing?.credentials.request.captures = captures
    view?.resumed()
    resumePresence(handed.feed)
    resumeMeter(handed.feed.meter)
    judgeMute()
    // Orders about its user find it from here on.
    resumeToken(handed.feed)
  }

  /// Goes on with what takes time, once all sessions of the worker are there.
  func goOn(after handed: SessionState) {
    goOnReplaying()
    // Also where only the answer to a close frame is waited for.
    readOn()
  }

  private func resumePresence(_ state: FeedState) {
    guard let place = state.presence, route.hasPresence, let membership,
      let presence = route.layer.flatMap({ worker.layers[$0].presence })
    else { return }
    let audience = audience(isFirst: true, isNumbered: false)
    feed.makeExtras().presence = presence.resume(
      self, group: membership.group, route: audience.key, renderer: audience.renderer, user: identity?.user,
      number: place.number, waits: state.waitsForPresence)
  }

  private func resumeMeter(_ state: FeedState.Meter?) {
    beginMeter()
    guard let state, let meter = feed.extras?.meter else { return }
    (meter.paidAt, meter.isKnown) = (state.paidAt, state.isKnown)
    guard let end = state.pausesUntil else { return }
    pause(meter, for: MonotonicTime(nanoseconds: end).since(worker.reactor.now).wholeNanoseconds)
  }
}

extension EventStream {
  var isBound: Bool { connection.isBound }

  func handedState(_ chunks: UnsentChunks) -> SessionState? {
    guard isOpen else { return leavingState(chunks, record) }
    guard let connection = connection.state(chunks), let feed = handedFeed() else { return nil }
    var handed = SessionState(.stream, connection)
    handed.route = route.name
    handed.wayIn = wayIn
    handed.site = place?.site
    handed.feed = feed
    handed.log = record?.handed
    (handed.lastWrite, handed.ignored) = (lastWrite, ignored)
    return handed
  }

  func resume(_ handed: SessionState) {
    wayIn = worker.shared(handed.wayIn)
    place = worker.process.place(again: handed.site)
    record = handed.log.map { SessionRecord($0, log: worker.process.log) }
    (lastWrite, ignored) = (handed.lastWrite, handed.ignored)
    resume(handed.feed)
    resumeToken(handed.feed)
  }

  func goOn(after handed: SessionState) {
    goOnReplaying()
  }
}

extension GroupClient {
  /// It has ended: what was written is still on its way, and that is all.
  fileprivate func leavingState(_ chunks: UnsentChunks, _ record: SessionRecord?) -> SessionState? {
    guard var state = connection.state(chunks) else { return nil }
    // One that only its end is waited for has a time for it.
    state.closesAt = state.closesAt ?? worker.reactor.now.nanoseconds
    var handed = SessionState(.leaving, state)
    handed.log = record?.handed
    handed.feed.identity = record.flatMap { _ in feed.extras?.identity }
    return handed
  }
}

extension ProcessState {
  /// The place of an address that it had in another process.
  fileprivate func place(again site: IPAddress?) -> AddressPlace? {
    site.flatMap { addresses?.retake($0) }
  }
}
