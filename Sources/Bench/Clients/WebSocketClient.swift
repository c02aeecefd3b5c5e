import Bytes
import Transport
import WebSocketCore

/// A client that speaks WebSocket.
final class WebSocketClient: LoadClient {
  /// Until it is open.
  private var handshake: ClientHandshake?
  private var decoder = MessageDecoder(maximumMessage: largestMessage, from: .server)
  /// The bytes of the server's answer so far.
  private var head: [UInt8] = []
  /// Whether the server has sent anything behind its answer.
  private var isServed = false

  /// The close codes of a server that refuses a client behind the handshake: 4000 and the status that it would have answered.
  private static let refusals = UInt16(4400)...4503

  override init(
    _ part: any ClientPart, _ descriptor: consuming Descriptor, to place: Destination, of crew: Crew
  ) {
    handshake = crew.handshake(with: place.target)
    super.init(part, descriptor, to: place, of: crew)
  }

  override func greet() {
    if let handshake { write(handshake.request.rawBytes) }
  }

  override var unanswered: String { "the server did not answer the handshake in time" }

  override var endedEarly: String { "the server closed a connection without a close frame" }

  /// Begins the closing handshake.
  override func sayGoodbye() {
    write(.close, ClosePayload.encode(.normal, reason: ""))
  }

  private func write(_ opcode: Opcode, _ payload: [UInt8]) {
    var frame: [UInt8] = []
    ClientFrame.append(opcode, payload.rawBytes, to: &frame)
    write(frame.rawBytes)
  }

  override func read(_ bytes: inout MutableRawSpan) {
    if isOpening { readHead(bytes.bytes) } else { decode(&bytes) }
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
        begin(with: handshake, Array(known.dropFirst(length)))
      }
    }
  }

  /// - Parameter rest: the bytes directly after the server's answer.
  private func begin(with handshake: ClientHandshake, _ rest: [UInt8]) {
    if handshake.offersCompression {
      decoder = MessageDecoder(maximumMessage: Self.largestMessage, from: .server, inflater: crew.inflater)
    }
    head = []
    self.handshake = nil
    open()
    var rest = rest
    var raw = rest.mutableRawBytes
    decode(&raw)
  }
}

extension WebSocketClient: FrameSink {
  func message(_ kind: MessageKind, _ payload: RawSpan) -> Flow {
    isServed = true
    part.received(kind, payload, for: self, crew)
    return .proceed
  }

  func ping(_ payload: RawSpan) -> Flow {
    isServed = true
    if isOpen { write(.pong, [UInt8](copying: payload)) }
    return .proceed
  }

  func pong(_ payload: RawSpan) -> Flow { .proceed }

  func close(_ code: CloseCode?, _ reason: RawSpan) -> Flow {
    let text = String(decoding: [UInt8](copying: reason), as: UTF8.self)
    let said = (code.map { "\($0.rawValue)" } ?? "no code") + (text.isEmpty ? "" : ": \(text)")
    if !isServed, let code, Self.refusals.contains(code.rawValue) {
      refuse("the server refused a connection with \(said)")
      return .stop
    }
    // In answer to our close frame the server ends the connection too. If it does so first, the port is free for the next
    // connection.
    if isOpen { fail("the server closed with \(said)") }
    return .stop
  }
}
