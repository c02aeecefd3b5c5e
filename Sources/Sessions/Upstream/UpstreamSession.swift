import Bytes
import GatewayConfig
import Transport
import WebSocketCore

/// The upstream's side of a session on a `proxy` route: the WebSocket connection to the upstream.
///
/// Messages pass from one side to the other as a whole, and each side has its own closing handshakes and pings. A code and a
/// reason that end one side end the other. If one side does not read, the other one has to wait. Confined to the session's
/// reactor.
final class UpstreamSession {
  private enum State {
    case open
    /// A close frame was sent, and the upstream has not answered it yet.
    case closing
    case ended
  }

  let connection: Connection
  var decoder: MessageDecoder
  var keepAlive: KeepAlive?
  /// Nil once one of the two has ended.
  private var session: Session?
  private var state = State.open
  /// For the log, if the connection breaks.
  private var breakReason = "the connection broke"
  private var deadline: Timer?
  private let worker: WorkerSessions
  /// The name of the session's route.
  let routeName: String
  /// The target of the client's request.
  let target: [UInt8]?
  private var unfinished: UnfinishedInput.Part?
  private var silence = PeerSilence()
  private var hasSlowPings: Bool

  /// When more bytes than this wait for one side, the other one is not read any more.
  static let highWater = 256 * 1024

  init(_ connection: Connection, for session: Session, target: [UInt8]?, keepAlive: KeepAlive?) {
    self.connection = connection
    self.session = session
    self.target = target
    self.keepAlive = keepAlive
    worker = session.worker
    routeName = session.routeName
    hasSlowPings = session.route.hasSlowPings
    decoder = MessageDecoder(maximumMessage: session.route.configuration.limits.message.bytes, from: .server)
    connection.handler = self
  }

  /// Takes the rules of a route that continues the session's.
  func exchange(for route: SessionRoute) {
    decoder.maximumMessage = route.configuration.limits.message.bytes
    hasSlowPings = route.hasSlowPings
  }

  // MARK: - From the client

  var isCongested: Bool { connection.queuedBytes > Self.highWater }

  func send(_ kind: MessageKind, _ payload: RawSpan) {
    guard state == .open else { return }
    write(kind.opcode, payload)
  }

  /// The client can receive more.
  func resumeReading() {
    connection.resumeReading()
  }

  /// The client's session has ended with a close frame.
  func close(_ payload: [UInt8]) {
    session = nil
    guard state == .open else { return }
    write(.close, payload.rawBytes)
    state = .closing
    connection.resumeReading()
    // Unowned: the end of the session cancels it.
    let deadline = connection.reactor.timer { [unowned self] in end(within: .zero) }
    deadline.schedule(after: Farewell.answer)
    self.deadline = deadline
  }

  /// The client is gone without a close frame. The upstream's connection ends the same way, which it sees as 1006, but only after
  /// it was sent what the client's messages left in the queue: they were accepted, and a client may leave right after its last
  /// one. This takes as long as a closing handshake at most.
  func abandon() {
    session = nil
    end(within: Farewell.answer)
  }

  func checkKeepAlive(at now: UInt64) {
    guard state == .open else { return }
    if connection.isReadingPaused { keepAlive?.received(at: now) }
    switch keepAlive?.check(at: now) {
    case .sendPing: write(.ping, [])
    case .timedOut: lose("the server did not answer pings")
    case .nothing, nil: break
    }
  }

  /// Checks for an upstream that vanished with data on the way to it, where pings would not find that, or not soon: they are
  /// rare, or the upstream is not read, so its pongs are not either.
  func checkSilence(at now: UInt64, bound: UInt64) {
    guard state == .open, hasSlowPings || connection.isReadingPaused,
      silence.isOver(at: now, bound: bound, connection.peerReport)
    else { return }
    breakReason = "the connection to the server was lost"
    connection.peerVanished()
  }

  private func write(_ opcode: Opcode, _ payload: [UInt8]) {
    write(opcode, payload.rawBytes)
  }

  private func write(_ opcode: Opcode, _ payload: RawSpan) {
    var frame: [UInt8] = []
    frame.reserveCapacity(payload.byteCount + 14)
    ClientFrame.append(opcode, payload, to: &frame)
    connection.write(frame.rawBytes)
  }
}

// MARK: - From the upstream

extension UpstreamSession: ConnectionHandler {
  func received(_ bytes: inout MutableRawSpan) {
    guard state != .ended else { return }
    keepAlive?.received(at: connection.reactor.now.nanoseconds)
    _ = connection.reactor.hasTimeLeft()
    do throws(ProtocolViolation) {
      let done = try decoder.decode(&bytes, into: self)
      if done < bytes.byteCount { connection.leave(last: bytes.byteCount - done) }
    } catch {
      if state == .open {
        write(.close, ClosePayload.encode(error.closeCode, reason: error.description))
      }
      lose("\(error)")
    }
    if session?.isCongested == true { connection.pauseReading() }
    let unfinishedBytes = decoder.unfinishedBytes
    if unfinishedBytes > 0 || unfinished != nil {
      unfinished = worker.unfinishedInput.count(unfinishedBytes, of: self, unfinished)
      worker.unfinishedInput.relieve()
    }
  }

  func drained() {
    session?.readOn()
  }

  func peerFinished() {
    lose("the server closed the connection without a close frame")
  }

  /// The upstream is gone. What it sent before is for the client, which has to read first.
  func brokeWhilePaused() -> RestOfInput {
    session == nil ? .dropped : .kept
  }

  func closed(_ reason: ConnectionEnd) {
    lose(breakReason)
    deadline?.cancel()
    dropInput()
  }

  func mustGiveWay() {
    lose("the server read too slowly, and limits.send_memory is used up")
  }

  /// The upstream is gone without a close frame, or violates the protocol.
  private func lose(_ reason: String) {
    end(within: Farewell.lingering)
    guard let session else { return }
    self.session = nil
    session.upstreamLost(reason, target: target)
  }

  private func end(within time: Duration) {
    guard state != .ended else { return }
    state = .ended
    deadline?.cancel()
    if time > .zero { connection.finish(timeout: time) } else { connection.abort() }
  }
}

extension UpstreamSession: InputHolder {
  func giveUpInput() {
    dropInput()
    if state == .open {
      write(
        .close, ClosePayload.encode(.messageTooBig, reason: "the memory for received messages is used up"))
    }
    lose("the server's messages were not delivered in time, and limits.receive_memory is used up")
  }

  private func dropInput() {
    decoder.abandon()
    unfinished = worker.unfinishedInput.count(0, of: self, unfinished)
  }
}

extension UpstreamSession: FrameSink {
  func message(_ kind: MessageKind, _ payload: RawSpan) -> Flow {
    unfinished?.isDone = true
    session?.send(kind, payload)
    return mayGoOn() ? .proceed : .pause
  }

  /// While the client has no room, nothing more is decoded.
  func mayGoOn() -> Bool {
    session?.isCongested != true && connection.reactor.hasTimeLeft()
  }

  func ping(_ payload: RawSpan) -> Flow {
    // An upstream that sends pings and does not read must not be answered without end. Its messages have to be read all the
    // same, because it may be waiting for that itself.
    if state == .open, !isCongested { write(.pong, payload) }
    return .proceed
  }

  func pong(_ payload: RawSpan) -> Flow { .proceed }

  func close(_ code: CloseCode?, _ reason: RawSpan) -> Flow {
    let payload = code.map { ClosePayload.encode($0, reason: reason) } ?? []
    if state == .open { write(.close, payload) }
    end(within: Farewell.lingering)
    let session = session
    self.session = nil
    session?.upstreamClosed(payload)
    return .stop
  }
}
