import Consumers
import GatewayConfig
import Transport
import WebSocketCore

extension PendingConnection {
  /// Answers 200, and turns the connection into an event stream.
  func beginStream(
    _ answer: EventStreamOpening, _ opening: Opening, on connection: Connection, in groups: GroupsOpening?
  ) {
    let route = answer.route
    let stream = EventStream(connection: connection, route: route, worker: worker)
    stream.wayIn = worker.shared(opening.wayIn)
    connection.handler = stream
    stream.place = client.place
    stream.record = worker.record(of: client, route: route.name, target: target, user: opening.identity?.user)
    stream.feed.keep(opening, hasControls: false)
    if let groups { stream.joinGroups(groups, opening.history) }
    worker.sessionOpened(stream, wait: route.wait)
    unsafe connection.write(answer.response(date: worker.date).span.bytes)
    stream.goOnReplaying()
    stream.beginToken()
    worker.sessionAccepted(stream)
  }

  /// Answers 101, and turns the connection into a session. The bytes after the request head are its first frames.
  func beginSession(
    _ answer: SessionOpening, _ opening: Opening, of admission: Admission, on connection: Connection,
    in groups: GroupsOpening?, through upstream: UpstreamOpening.Opened?
  ) {
    let route = answer.route
    let compression = worker.compression.agree(on: answer.handshake.extensions, for: route)
    let session = Session(
      connection: connection, route: route, compression: compression?.compression, worker: worker)
    session.wayIn = worker.shared(opening.wayIn)
    connection.handler = session
    session.place = client.place
    session.record = worker.record(
      of: client, route: route.name, target: target, user: opening.identity?.user)
    if upstream == nil { noteSubprotocols(answer) }
    session.feed.keep(opening, hasControls: route.hasControls, needsCaptures: route.needsCaptures)
    session.beginMeter()
    if let groups { session.join(groups, opening.history) }
    worker.sessionOpened(session, wait: route.wait)
    let response = answer.response(compression: compression?.agreement, through: upstream)
    unsafe connection.write(response.span.bytes)
    if opening.awaitsToken {
      session.awaitToken(.init(admission, target: target, peer: client.peer))
    } else {
      session.beginToken()
      route.consumer.greet(session)
    }
    session.goOnReplaying()
    if let upstream {
      // Kept for as long as the session lives: what the log would show of it, without the query.
      let path = target.map { Array(RefusalLog.path(of: $0)) }
      session.connect(to: upstream.connection, target: path, rest: upstream.rest)
    }
    worker.sessionAccepted(session)
  }

  /// Makes a session whose view is to be asked about it. It has no connection of its own yet.
  func openingSession(_ answer: SessionOpening, _ opening: Opening, on connection: Connection) -> Session {
    let route = answer.route
    let compression = worker.compression.agree(on: answer.handshake.extensions, for: route)
    answer.compression = compression?.agreement
    let session = Session(
      connection: connection, route: route, compression: compression?.compression, worker: worker,
      state: .opening)
    session.wayIn = worker.shared(opening.wayIn)
    // The captures are kept with what its view is told.
    session.feed.keep(opening, hasControls: false)
    return session
  }

  /// Answers 101: the connection becomes that of a session whose view has let the client in.
  func beginSession(_ session: Session, _ opening: Opening, on connection: Connection) {
    guard case .session(let answer) = opening.kind else { return }
    connection.handler = session
    session.open()
    session.place = client.place
    session.record = worker.record(
      of: client, route: session.route.name, target: target, user: opening.identity?.user)
    if answer.answer?.subprotocol == nil { noteSubprotocols(answer) }
    session.take(opening.identity)
    session.beginMeter()
    session.joinPresence()
    session.judgeMute()
    worker.sessionOpened(session, wait: session.route.wait)
    let response = answer.response(compression: answer.compression, through: nil)
    unsafe connection.write(response.span.bytes)
    session.beginToken()
    // Before what the view has said of it.
    session.route.consumer.greet(session)
    worker.sessionAccepted(session)
  }

  private func noteSubprotocols(_ answer: SessionOpening) {
    let all = answer.handshake.subprotocols
    let offered = all.filter { !$0.hasPrefix(Credentials.subprotocolMark) }
    let known = answer.route.configuration.subprotocols
    guard !all.isEmpty, answer.handshake.chooseSubprotocol(from: known) == nil else { return }
    guard !offered.isEmpty else {
      // A route with `auth` answers with the subprotocol that contains the token.
      guard answer.route.configuration.auth == nil else { return }
      return worker.refusals.tokenWithoutAuth(target: target, route: answer.route.name, peer: client.peer)
    }
    worker.refusals.noSubprotocol(offered: offered, known: known, route: answer.route.name, peer: client.peer)
  }
}
