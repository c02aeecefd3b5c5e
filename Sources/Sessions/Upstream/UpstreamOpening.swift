import Bytes
import GatewayConfig
import Transport
import WebSocketCore

/// The opening of a client's session on a `proxy` route: connects to the upstream, and makes the handshake with it.
///
/// Confined to the client's reactor.
final class UpstreamOpening {
  /// An upstream whose handshake succeeded.
  struct Opened {
    var connection: Connection
    var subprotocol: String?
    /// Fields of its answer for the answer to the client.
    var fields: [HeaderField]
    /// The bytes after the head of its answer.
    var rest: [UInt8]
  }

  private enum State {
    case connecting
    case asking(Connection)
    /// The upstream refused, and the rest of its answer is on the way: this many bytes, or nil for all until it closes the
    /// connection.
    case refusing(Connection, ResponseHead, length: Int?)
    case over
  }

  private let worker: WorkerSessions
  private let upstream: UpstreamConfiguration
  private let handshake: ClientHandshake
  /// The name of the route, the target of the client's request, and who has sent it, for the log.
  private let request: (route: String, target: [UInt8]?, peer: PeerAddress)
  private let completed: (Result<Opened, HandshakeRefusal>) -> Void
  private var state = State.connecting
  private var reader = ResponseReader()
  /// The body of a refusal so far.
  private var body: [UInt8] = []
  private var deadline: Timer?

  /// A longer refusal is passed on without its body.
  private static let longestBody = 64 * 1024
  /// How long to wait for the end of a refusal without a length.
  private static let patience = Duration.seconds(1)

  /// - Parameter completed: called once, unless `abandon` comes first.
  init(
    _ handshake: ClientHandshake, to upstream: UpstreamConfiguration,
    for request: (route: String, target: [UInt8]?, peer: PeerAddress), worker: WorkerSessions,
    _ completed: @escaping (Result<Opened, HandshakeRefusal>) -> Void
  ) {
    self.handshake = handshake
    self.upstream = upstream
    self.request = request
    self.worker = worker
    self.completed = completed
  }

  func start() {
    worker.connect(to: upstream) { [self] outcome in connected(outcome) }
  }

  private func connected(_ outcome: Result<Int32, any Error>) {
    switch outcome {
    case .success(let raw):
      let descriptor = Descriptor(adopting: raw)
      UnsentBound.set(on: descriptor.rawValue)
      guard case .connecting = state else { return }
      let connection = worker.reactor.adopt(descriptor, handler: self)
      state = .asking(connection)
      connection.write(handshake.request.rawBytes)
    case .failure(let error):
      let fault = AnswerFault(error, from: upstream)
      fail(.upstreamUnreachable, fault.reason, hint: fault.hint)
    }
  }

  /// The client is told that the upstream took too long.
  func timedOut() {
    fail(.upstreamTimeout, "no answer to the handshake in time")
  }

  private func fail(_ reason: Refusal, _ detail: String, hint: String? = nil) {
    // An abandoned connection is reported as closed, too.
    if case .over = state { return }
    let refusal = HandshakeRefusal(reason)
    worker.process.upstreamFailures.record(
      upstream, of: .route(request.route), target: request.target, peer: request.peer,
      status: refusal.status, detail, hint: hint)
    complete(.failure(refusal))
  }

  private func complete(_ outcome: Result<Opened, HandshakeRefusal>) {
    if case .over = state { return }
    if case .success = outcome { state = .over } else { abandon() }
    completed(outcome)
  }

  /// The client is gone, or does not wait any more.
  func abandon() {
    let last = state
    state = .over
    deadline?.cancel()
    switch last {
    case .asking(let connection), .refusing(let connection, _, _): connection.abort()
    case .connecting, .over: break
    }
  }
}

// MARK: - The upstream's answer

extension UpstreamOpening: ConnectionHandler {
  func received(_ new: inout MutableRawSpan) {
    switch state {
    case .asking(let connection):
      switch reader.read(new.bytes) {
      case .incomplete: break
      case .malformed(let fault): fail(.upstreamFailed, fault)
      case .complete(let head): answered(head, on: connection)
      }
    case .refusing(_, let head, let length):
      body.append(copying: new.bytes)
      readBody(of: head, length)
    case .connecting, .over: break
    }
  }

  private func answered(_ head: ResponseHead, on connection: Connection) {
    switch handshake.check(head) {
    case .success(let subprotocol):
      complete(
        .success(
          Opened(
            connection: connection, subprotocol: subprotocol, fields: passedOn(head), rest: reader.rest)))
    case .failure(.malformed(let fault)): fail(.upstreamFailed, fault)
    case .failure(.refused): readRefusal(head, connection)
    }
  }

  /// The client gets the upstream's own answer: a login page, a reason, a time to wait.
  private func readRefusal(_ head: ResponseHead, _ connection: Connection) {
    let lengths = Set(head.fields.values(of: "content-length"))
    let isCoded = !head.fields.values(of: "transfer-encoding").isEmpty
    // RFC 9112 section 6.3: without a length the body ends with the connection. Daphne refuses like this.
    if lengths.isEmpty, !isCoded, ![204, 304].contains(head.status) {
      let deadline = worker.reactor.timer { [weak self] in self?.refuse(head, body: []) }
      deadline.schedule(after: Self.patience)
      self.deadline = deadline
      state = .refusing(connection, head, length: nil)
      body = reader.rest
      return readBody(of: head, nil)
    }
    guard lengths.count == 1, let length = lengths.first.flatMap({ Int($0) }), length >= 0,
      length <= Self.longestBody, !isCoded
    else { return refuse(head, body: []) }
    state = .refusing(connection, head, length: length)
    body = reader.rest
    readBody(of: head, length)
  }

  private func readBody(of head: ResponseHead, _ length: Int?) {
    guard let length else {
      if body.count > Self.longestBody { refuse(head, body: []) }
      return
    }
    if body.count >= length { refuse(head, body: Array(body.prefix(length))) }
  }

  private func refuse(_ head: ResponseHead, body: [UInt8]) {
    var fields = passedOn(head)
    fields.removeAll { $0.name == "content-length" || body.isEmpty && $0.name == "content-type" }
    complete(.failure(HandshakeRefusal(.refusedByUpstream.answering(head.status, fields, body: body))))
  }

  /// The fields of the head that are passed on to the client.
  private func passedOn(_ head: ResponseHead) -> [HeaderField] {
    let rules = ForwardedHeaders(connection: head.fields.values(of: "connection"))
    return head.fields.filter { rules.passesResponse($0.name) && !$0.name.hasPrefix("sec-websocket-") }
  }

  func peerFinished() {
    closed(.finished)
  }

  func drained() {}

  func closed(_ reason: ConnectionEnd) {
    if case .refusing(_, let head, let length) = state {
      return refuse(head, body: length == nil && reason == .finished ? body : [])
    }
    fail(.upstreamFailed, "the server closed the connection before it answered")
  }
}
