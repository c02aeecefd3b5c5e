import Bytes
import Transport
import WebSocketCore

/// One connection of a load, from its first byte to its last. Its part decides what it does in between. Confined to its crew's
/// reactor.
final class LoadClient {
  private enum State {
    case opening
    case open
    /// A close frame was sent, and the server has not answered it yet.
    case closing
    case ended
  }

  let part: any ClientPart
  private let crew: Crew
  private var state = State.opening
  private var connection: Connection?
  /// Until it is open.
  private var handshake: ClientHandshake?
  private var decoder = MessageDecoder(maximumMessage: largestMessage, from: .server)
  /// The bytes of the server's answer so far.
  private var head: [UInt8] = []
  private var deadline: Timer?
  /// When the connection was started, in nanoseconds.
  let started: UInt64

  private static let largestMessage = 64 << 20
  /// How long the server may take to end the connection after a close frame.
  private static let closeTimeout = Duration.seconds(2)

  init(_ part: any ClientPart, _ descriptor: consuming Descriptor, of crew: Crew) {
    self.part = part
    self.crew = crew
    started = crew.now
    let handshake = crew.handshake()
    self.handshake = handshake
    let connection = crew.reactor.adopt(descriptor, handler: self)
    self.connection = connection
    connection.write(handshake.request.rawBytes)
  }

  var isOpen: Bool { state == .open }

  var queuedBytes: Int { connection?.queuedBytes ?? 0 }

  /// Sends a whole frame. Frames sent during `ClientPart.received` leave together.
  func send(frame: RawSpan) {
    if isOpen { connection?.write(frame) }
  }

  /// Sends several whole frames at once.
  func send(frames: SharedBytes) {
    if isOpen { connection?.write(frames, from: 0) }
  }

  /// Begins the closing handshake.
  func close() {
    guard isOpen else { return }
    write(.close, ClosePayload.encode(.normal, reason: ""))
    state = .closing
    deadline = crew.reactor.timer { [weak self] in
      self?.fail("the server did not answer the close frame in time")
    }
    deadline?.schedule(after: Self.closeTimeout)
  }

  /// Ends a connection whose server has not answered in time.
  func giveUpOpening() {
    if state == .opening { fail("the server did not answer the handshake in time") }
  }

  private func write(_ opcode: Opcode, _ payload: [UInt8]) {
    var frame: [UInt8] = []
    ClientFrame.append(opcode, payload.rawBytes, to: &frame)
    connection?.write(frame.rawBytes)
  }

  /// Ends the connection with a problem.
  private func fail(_ problem: @autoclosure () -> String) {
    let before = state
    state = .ended
    deadline?.cancel()
    connection?.abort()
    switch before {
    case .opening: crew.failedToOpen(self, problem())
    case .open: crew.lost(self, problem())
    case .closing: crew.closed(self)
    case .ended: break
    }
  }
}

// MARK: - What the server sends

extension LoadClient: ConnectionHandler {
  func received(_ bytes: inout MutableRawSpan) {
    crew.now = MonotonicTime.now.nanoseconds
    switch state {
    case .open, .closing: decode(&bytes)
    case .opening: readHead(bytes.bytes)
    case .ended: break
    }
  }

  private func decode(_ bytes: inout MutableRawSpan) {
    do throws(ProtocolViolation) {
      try decoder.decode(&bytes, into: self)
    } catch {
      fail("the server violated the WebSocket protocol: \(error)")
    }
  }

  private func readHead(_ new: RawSpan) {
    guard let handshake else { return }
    head.append(copying: new)
    let known = head
    switch ResponseHead.parse(known.rawBytes) {
    case .incomplete: break
    case .malformed(let fault): fail("the server does not speak HTTP: \(fault)")
    case .complete(let response, let length):
      switch handshake.check(response) {
      case .failure(.refused): fail("the server answered \(response.status) \(response.phrase)")
      case .failure(.malformed(let fault)):
        fail("the server did not accept the WebSocket handshake:  \(fault)")
      case .success where handshake.offersCompression && !handshake.agreesOnCompression(response):
        fail("the server did not accept permessage-deflate")
      case .success:
        if handshake.offersCompression {
          decoder = MessageDecoder(
            maximumMessage: Self.largestMessage, from: .server, inflater: crew.inflater)
        }
        head = []
        self.handshake = nil
        state = .open
        crew.opened(self)
        // The bytes directly after the server's answer.
        var rest = Array(known.dropFirst(length))
        var raw = rest.mutableRawBytes
        decode(&raw)
      }
    }
  }

  func peerFinished() {
    fail("the server closed a connection without a close frame")
  }

  func drained() {}

  func closed(_ reason: ConnectionEnd) {
    fail(reason.text)
    connection = nil
  }
}

extension LoadClient: FrameSink {
  func message(_ kind: MessageKind, _ payload: RawSpan) -> Flow {
    part.received(kind, payload, for: self, crew)
    return .proceed
  }

  func ping(_ payload: RawSpan) -> Flow {
    if isOpen { write(.pong, [UInt8](copying: payload)) }
    return .proceed
  }

  func pong(_ payload: RawSpan) -> Flow { .proceed }

  func close(_ code: CloseCode?, _ reason: RawSpan) -> Flow {
    // In answer to our close frame the server ends the connection too. If it does so first, the port is free for the next
    // connection.
    if isOpen {
      let text = String(decoding: [UInt8](copying: reason), as: UTF8.self)
      fail(
        "the server closed with \(code.map { "\($0.rawValue)" } ?? "no code")\(text.isEmpty ? "" : ": ")\(text)"
      )
    }
    return .stop
  }
}

extension ConnectionEnd {
  /// The reason in words.
  fileprivate var text: String {
    switch self {
    case .local, .finished: "the connection was closed"
    case .failed(let code): "the connection broke: \(TransportFailure.text(code))"
    }
  }
}
