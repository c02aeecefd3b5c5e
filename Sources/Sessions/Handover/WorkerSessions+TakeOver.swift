import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import Logging
import Transport
import WebSocketCore

// In the program that takes over, or tries to.

/// What became of the sessions that a process has taken over.
package struct TakenSessions: Sendable {
  package var sessions = 0
  package var streams = 0
  /// Those that cannot go on by the routes that are served here: how many, by their close code.
  package var closing: [UInt16: Int] = [:]

  package var closed: Int { closing.values.reduce(0, +) }

  package init() {}

  package static func + (one: TakenSessions, other: TakenSessions) -> TakenSessions {
    var sum = one
    sum.sessions += other.sessions
    sum.streams += other.streams
    sum.closing.merge(other.closing, uniquingKeysWith: +)
    return sum
  }
}

extension ServedRoutes {
  /// What would become of the sessions, without taking them over.
  ///
  /// - Parameter routes: which they come from.
  package func trial(of state: WorkerState, from routes: HandedRoutes) -> TakenSessions {
    let changes = HandedChanges(from: routes, to: live)
    var taken = TakenSessions()
    for session in state.sessions {
      switch changes.outcome(of: session) {
      case .session where session.webSocket.closesAt == nil: taken.sessions += 1
      case .stream: taken.streams += 1
      case .closes(let end): taken.closing[end.code, default: 0] += 1
      case .session, .leaves: break
      }
    }
    return taken
  }
}

extension WorkerSessions {
  /// Takes over the sessions of another process's workers, before the first new connection. They wait for `goOnWithTaken`.
  ///
  /// - Parameters:
  ///   - states: all of those that this worker takes the place of.
  ///   - routes: which the sessions come from.
  package func take(_ states: [WorkerState], from routes: HandedRoutes) -> TakenSessions {
    let changes = HandedChanges(from: routes, to: served.live)
    let outcomes = states.map { $0.sessions.map(changes.outcome) }
    for (state, outcomes) in zip(states, outcomes) { reserve(state, outcomes) }
    return zip(states, outcomes).reduce(TakenSessions()) { $0 + take($1.0, $1.1) }
  }

  private func take(_ state: WorkerState, _ outcomes: [HandedOutcome]) -> TakenSessions {
    var taken = TakenSessions()
    for (handed, outcome) in zip(state.sessions, outcomes) {
      switch outcome {
      case .leaves: leave(handed, state.chunks)
      case .closes(let end):
        close(handed, state.chunks, for: end)
        taken.closing[end.code, default: 0] += 1
      case .session(let found):
        let session = takeSession(handed, of: state, at: found)
        if handed.webSocket.closesAt == nil { taken.sessions += 1 }
        going.append { session.goOn(after: handed) }
      case .stream(let found):
        let stream = takeStream(handed, of: state, at: found)
        taken.streams += 1
        going.append { stream.goOn(after: handed) }
      }
    }
    state.chunks.finish()
    return taken
  }

  /// Has those go on that were taken over. The sessions of all workers are in their groups: what one of them publishes reaches the others.
  package func goOnWithTaken() {
    let going = going
    self.going = []
    for goOn in going { goOn() }
  }

  private func reserve(_ state: WorkerState, _ outcomes: [HandedOutcome]) {
    for backend in process.layers.all {
      guard let groups = state.layers[backend.alias] else { continue }
      let end = layers[backend].layer
      let numbers = zip(state.sessions, outcomes).lazy.filter { $1.layer === backend }.flatMap(\.0.numbers)
      end.groups.reserve(Array(numbers), lastSerial: groups.lastSerial, of: state.number)
      end.resume(groups)
    }
  }

  /// Says which events a client has had, where it meets those of another worker that have had others.
  private func tellPosition(of client: some GroupClient, in state: WorkerState) {
    guard let backend = client.route.layer, let groups = state.layers[backend.alias] else { return }
    let layer = layers[backend].layer
    for membership in client.feed.memberships {
      if let position = groups.delivered[membership.group] { layer.resumed(membership, at: position) }
    }
  }

  private func takeSession(
    _ handed: SessionState, of state: WorkerState, at found: FoundRoute<SessionRoute>
  ) -> Session {
    let leaving = LeavingConnection(handed, log: process.log)
    let connection = reactor.adopt(handed.connection, state.chunks, handler: leaving)
    let route = found.route
    let session = Session(
      connection: connection, route: route,
      compression: handed.webSocket.compression.map { compression.resume($0, for: route) }, worker: self)
    connection.handler = session
    process.counters.connections.up()
    sessionOpened(session, wait: route.wait)
    session.resume(handed, at: found.captures)
    if let upstream = handed.webSocket.upstream { session.resume(upstream, state.chunks) }
    tellPosition(of: session, in: state)
    return session
  }

  private func takeStream(
    _ handed: SessionState, of state: WorkerState, at found: FoundRoute<EventRoute>
  ) -> EventStream {
    let leaving = LeavingConnection(handed, log: process.log)
    let connection = reactor.adopt(handed.connection, state.chunks, handler: leaving)
    let stream = EventStream(connection: connection, route: found.route, worker: self)
    connection.handler = stream
    process.counters.connections.up()
    sessionOpened(stream, wait: found.route.wait)
    stream.resume(handed)
    tellPosition(of: stream, in: state)
    return stream
  }

  /// One that cannot go on here.
  private func close(_ handed: SessionState, _ chunks: UnsentChunks, for end: ClientEnd) {
    let leaving = LeavingConnection(handed, log: process.log)
    let connection = reactor.adopt(handed.connection, chunks, handler: leaving)
    let reason = CloseReason(end)
    if handed.kind == .webSocket {
      leaving.close(connection, reason)
    } else {
      leaving.note(reason)
      connection.finish(timeout: Farewell.lingering)
    }
    finishUpstream(of: handed, chunks)
  }

  /// The connection of a session that has ended.
  private func leave(_ handed: SessionState, _ chunks: UnsentChunks) {
    let connection = reactor.adopt(
      handed.connection, chunks, handler: LeavingConnection(handed, log: process.log))
    // Its path leads nowhere now, and its close frame is sent.
    if handed.kind == .webSocket { connection.finish(timeout: Farewell.lingering) }
    finishUpstream(of: handed, chunks)
  }

  private func finishUpstream(of handed: SessionState, _ chunks: UnsentChunks) {
    guard let upstream = handed.webSocket.upstream else { return }
    reactor.adopt(upstream.connection, chunks, handler: LeavingConnection()).finish(
      timeout: Farewell.lingering)
  }
}

extension HandedOutcome {
  /// The channel layer of the groups that the session goes on in.
  fileprivate var layer: (any LayerBackend)? {
    switch self {
    case .session(let found): found.route.layer
    case .stream(let found): found.route.layer
    case .closes, .leaves: nil
    }
  }
}

/// Has nothing more to say than what is written already.
private final class LeavingConnection: ConnectionHandler {
  /// Where the session's last line is still to be written.
  private var record: SessionRecord?
  private let user: String?

  /// Without a session.
  init() {
    user = nil
  }

  init(_ session: SessionState, log: Logger) {
    record = session.log.map { SessionRecord($0, log: log) }
    user = session.feed.identity?.user
  }

  /// Why the session ends, for its last line.
  func note(_ reason: CloseReason) { record?.ends(reason.code, reason.text) }

  /// Ends a WebSocket session that nobody goes on with.
  func close(_ connection: Connection, _ reason: CloseReason) {
    note(reason)
    let payload = ClosePayload.encode(reason.code, reason: reason.text)
    let frame = SharedBytes(capacity: 128)
    frame.appendFrame(.close, payload.rawBytes)
    connection.write(frame, from: 0)
    connection.finish(timeout: Farewell.lingering)
  }

  func received(_ bytes: inout MutableRawSpan) {}
  func peerFinished() {}
  func drained() {}

  func closed(_ reason: ConnectionEnd) {
    record?.ended(user: user, at: .now)
    record = nil
  }
}
