import GatewayConfig
import Transport
import WebSocketCore

/// The other half of a session on a `proxy` route: its WebSocket connection to the upstream.
///
/// Messages go from one to the other whole, and each side has closing hand-shakes and pings of its own; a code and a reason
/// that ends one ends the other. A side that does not read makes the other one wait. Confined to the session's reactor.
final class UpstreamSession {
  private enum State {
    case open
    /// A close frame was sent; the upstream's is waited for.
    case closing
    case ended
  }

  private let connection: Connection
  private var decoder: MessageDecoder
  private var keepAlive: KeepAlive?
  /// Until one of the two ends.
  private var session: Session?
  private var state = State.open
  private var deadline: Timer?
  private let worker: Worker
  /// Of the route of its session.
  let routeName: String
  private var unfinished: UnfinishedInput.Part?
  private var silence = PeerSilence()
  private let hasSlowPings: Bool

  private static let closeTimeout = Duration.seconds(5)
  private static let lingering = Duration.seconds(2)
  /// What may wait for one side before the other one is not read any more.
  static let highWater = 256 * 1024

  init(_ connection: Connection, for session: Session, keepAlive: KeepAlive?) {
    self.connection = connection
    self.session = session
    self.keepAlive = keepAlive
    worker = session.worker
    routeName = session.routeName
    hasSlowPings = session.route.hasSlowPings
    decoder = MessageDecoder(
      maximumMessage: session.route.configuration.limits.message.bytes, from: .server)
    connection.handler = self
  }

  /// What came right behind the upstream's answer.
  func received(rest bytes: [UInt8]) {
    connection.putBack(bytes)
  }

  // MARK: - From the client

  var isCongested: Bool { connection.queuedBytes > Self.highWater }

  func send(_ kind: MessageKind, _ payload: RawSpan) {
    guard state == .open else { return }
    write(kind.opcode, payload)
  }

  /// The client can take more.
  func resumeReading() {
    connection.resumeReading()
  }

  /// The client's session has ended with a close frame.
  func close(_ payload: [UInt8]) {
    session = nil
    guard state == .open else { return }
    unsafe write(.close, payload.span.bytes)
    state = .closing
    connection.resumeReading()
    let deadline = connection.reactor.timer { [unowned self] in end(within: .zero) }
    deadline.schedule(after: Self.closeTimeout)
    self.deadline = deadline
  }

  /// The client is gone without a close frame: so are we, which the upstream knows as 1006.
  func abandon() {
    session = nil
    end(within: .zero)
  }

  func checkKeepAlive(at now: UInt64) {
    guard state == .open else { return }
    if connection.isReadingPaused { keepAlive?.received(at: now) }
    switch keepAlive?.check(at: now) {
    case .sendPing: write(.ping, [])
    case .timedOut: lose("it does not answer pings")
    case .nothing, nil: break
    }
  }

  /// Where pings do not find out, or not soon, that the upstream has vanished with something on the way to it: they are rare, or it is not
  /// read and neither are its pongs.
  func checkSilence(at now: UInt64, bound: UInt64) {
    guard state == .open, hasSlowPings || connection.isReadingPaused,
      silence.isOver(at: now, bound: bound, connection.peerReport)
    else { return }
    connection.reset()
    lose("it has vanished")
  }

  private func write(_ opcode: Opcode, _ payload: [UInt8]) {
    unsafe write(opcode, payload.span.bytes)
  }

  private func write(_ opcode: Opcode, _ payload: RawSpan) {
    var frame: [UInt8] = []
    frame.reserveCapacity(payload.byteCount + 14)
    ClientFrame.append(opcode, payload, to: &frame)
    unsafe connection.write(frame.span.bytes)
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
    session?.upstreamDrained()
  }

  func peerFinished() {
    lose("it closed the connection without a close frame")
  }

  func closed(_ reason: ConnectionEnd) {
    lose("the connection broke")
    deadline?.cancel()
    dropInput()
  }

  func mustGiveWay() {
    lose("it reads too slowly, and limits.send_memory is used up")
  }

  /// The upstream is gone without a word, or is not to be understood.
  private func lose(_ reason: String) {
    end(within: Self.lingering)
    guard let session else { return }
    self.session = nil
    session.upstreamLost(reason)
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
    lose("what it sent was not dealt with in time, and limits.receive_memory is used up")
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

  /// What the client has no room for is not decoded.
  func mayGoOn() -> Bool {
    session?.isCongested != true && connection.reactor.hasTimeLeft()
  }

  func ping(_ payload: RawSpan) -> Flow {
    // One that asks and does not read is not answered for ever. It has to be read all the same: it may be waiting for that itself.
    if state == .open, !isCongested { write(.pong, payload) }
    return .proceed
  }

  func pong(_ payload: RawSpan) -> Flow { .proceed }

  func close(_ code: CloseCode?, _ reason: RawSpan) -> Flow {
    let payload = code.map { ClosePayload.encode($0, reason: reason) } ?? []
    if state == .open { write(.close, payload) }
    end(within: Self.lingering)
    let session = session
    self.session = nil
    session?.upstreamClosed(payload)
    return .stop
  }
}
