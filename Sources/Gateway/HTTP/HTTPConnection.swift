import Bytes
import GatewayConfig
import Routing
import Sessions
import Transport
import WebSocketCore

/// A connection that plain requests of HTTP/1 come on, one after the other: each is read strictly, answered, and only then followed
/// by the next one (RFC 9112). Confined to its reactor.
///
/// What somebody else serves takes the connection along: a session or a stream on the same reactor, or the HTTP service.
final class HTTPConnection: CheckedPeer {
  private enum Phase {
    case open
    /// The last answer is on the way; what comes is dropped.
    case ending
    /// It is closed, or somebody else handles it.
    case gone
  }

  /// What becomes of a request whose head was read.
  private enum Beginning {
    case begun
    /// Somebody else serves it once the kernel has the earlier answers.
    case later
    /// It was refused, or its connection is not here any more.
    case over
  }

  /// A request that is not answered yet.
  private final class Current {
    let isToHEAD: Bool
    let minorVersion: Int
    /// Whether no other request may follow it.
    let isLast: Bool
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 section 10.1.1).
    var waitsForContinue: Bool
    let framing: BodyFraming
    var body: BodyReader
    /// Nil while nobody wants the body.
    var collector: BodyCollector?
    var exchange: HTTPExchange?
    /// The answer, before what is there of the body was passed over.
    var answer: HTTPAnswer?
    /// What the client takes up of the connections that its address may have, beside this connection.
    var place: AddressPlace?

    init(_ known: RecurringHeads.Known, _ framing: BodyFraming) {
      isToHEAD = false
      minorVersion = known.request.minorVersion
      isLast = known.isLast
      waitsForContinue = false
      self.framing = framing
      body = BodyReader(framing)
    }

    init(_ request: RequestHead, _ framing: BodyFraming) {
      isToHEAD = request.method == "HEAD"
      minorVersion = request.minorVersion
      // A client that asks for another protocol would go on in it.
      isLast = request.isLast || request.method == "CONNECT" || request.fields.has("upgrade")
      waitsForContinue =
        request.minorVersion > 0 && request.fields.has("expect")
        && request.values(of: "expect").contains { $0.lowercased() == "100-continue" }
      self.framing = framing
      body = BodyReader(framing)
    }
  }

  /// What is kept until an answer was given to the kernel.
  private struct Held {
    var place: AddressPlace?
    var share: MemoryShare?
  }

  /// Unowned: the worker lives while its reactor runs, and nothing uses it afterwards.
  private unowned let owner: HTTPConnections
  private let connection: Connection
  /// Who has connected; a trusted proxy names another client with each request.
  private let client: Client
  private var phase = Phase.open
  var index = 0
  /// The part of the next head that has arrived.
  private var head: [UInt8] = []
  private var current: Current?
  private var held: Held?
  private var hasPeerFinished = false
  /// Whether bytes of the connection are being handled.
  private var isReading = false
  private var isHandling = false
  private var isAtEndOfTurn = false
  private var deadline: HTTPDeadline
  private var silence = PeerSilence()

  /// How long the client has to close its side, so that a reset does not destroy the end of the answer (RFC 9112 section 9.6).
  private static let lingering = Duration.seconds(2)

  /// The clock is read once for so many chunks of a body.
  private static let stepsPerLook = 64

  init(_ connection: Connection, of client: Client, among owner: HTTPConnections) {
    self.connection = connection
    self.client = client
    self.owner = owner
    deadline = HTTPDeadline(owner.reactor)
    // Unowned: whatever becomes of the connection cancels it.
    deadline.timer = owner.reactor.timer { [unowned self] in timeIsUp() }
  }

  private var reactor: Reactor { connection.reactor }

  /// Begins with the first request. The connection's handler is being given its bytes.
  func begin(with first: FirstRequest) {
    (isReading, isHandling) = (true, true)
    defer { (isReading, isHandling) = (false, false) }
    guard case .begun = begin(first.head, first, in: first.bytes.rawBytes, length: first.length) else {
      // Nothing was written before it that it could wait for.
      if phase == .open { connection.abort() }
      return
    }
    handle(first.bytes.rawBytes, from: first.length)
  }

  /// The gateway stops. What is under way is still answered, and so is one request that waits for its turn or comes soon.
  func stop() {
    if phase == .open, current == nil, head.isEmpty { connection.readNow() }
    refuseIfStopping()
    watchTime()
  }

  /// The answer to a request says that it is the last one. One of which only a part is there is not waited for.
  private func refuseIfStopping() {
    guard owner.isStopping, phase == .open, current == nil, hasAllBytes, !head.isEmpty else { return }
    refuse(.stopping(retry: owner.sessions.stopRetry ?? .zero))
  }

  func abandon() {
    connection.abort()
  }

  func checkPeer(at now: UInt64, bound: UInt64) {
    guard silence.isOver(at: now, bound: bound, connection.peerReport) else { return }
    connection.peerVanished()
    connection.abort()
  }
}

// MARK: - What comes

extension HTTPConnection: ConnectionHandler {
  func received(_ bytes: inout MutableRawSpan) {
    guard phase == .open else { return }
    // The time of its turn begins.
    _ = reactor.hasTimeLeft()
    isReading = true
    handle(bytes.bytes, from: 0)
    isReading = false
  }

  /// Handles bytes, request by request, and leaves what has to wait.
  private func handle(_ bytes: RawSpan, from start: Int) {
    isHandling = true
    var offset = start
    var isFirst = true
    while phase == .open {
      if current != nil {
        guard readBody(bytes, &offset) else { break }
      } else {
        guard offset < bytes.byteCount, connection.queuedBytes == 0, isFirst || reactor.hasTimeLeft() else {
          break
        }
        isFirst = false
        guard readHead(bytes, &offset) else { break }
      }
    }
    isHandling = false
    guard phase == .open else { return }
    if offset < bytes.byteCount {
      connection.leave(last: bytes.byteCount - offset)
      if isWaiting { connection.pauseReading() }
    } else {
      refuseIfStopping()
    }
    watchTime()
  }

  /// Whether no bytes that were read wait for their turn.
  private var hasAllBytes: Bool { isReading || !connection.hasUnread }

  /// Whether nothing more can be done with bytes before the current request is answered, or before the client has taken its answers.
  private var isWaiting: Bool {
    guard let current else { return connection.queuedBytes > 0 }
    return current.collector == nil && current.answer == nil
  }

  /// - Returns: whether there may be more to do with the bytes.
  private func readHead(_ bytes: RawSpan, _ offset: inout Int) -> Bool {
    let known = head.count
    guard known > 0 else {
      // RFC 9112 section 2.2: a client may send an empty line behind a body.
      while bytes.byteCount - offset >= 2, bytes[offset] == 0x0D, bytes[offset + 1] == 0x0A { offset += 2 }
      guard offset < bytes.byteCount else { return false }
      return parse(bytes.extracting(droppingFirst: offset), of: bytes, &offset)
    }
    head.append(copying: bytes.extracting(droppingFirst: offset))
    let whole = head
    let isBegun = parse(whole.rawBytes, of: bytes, &offset)
    // What is left comes again.
    if phase == .open, offset < bytes.byteCount, current == nil { head = Array(whole[..<known]) }
    return isBegun
  }

  /// - Parameters:
  ///   - known: what is known of the request, from its head on.
  ///   - offset: of the first byte in what was read that is not handled.
  private func parse(_ known: RawSpan, of bytes: RawSpan, _ offset: inout Int) -> Bool {
    if head.isEmpty, let (head, length, body) = owner.recurring.find(known, of: owner.served) {
      begin(head, body: body)
      deadline.clear()
      offset = bytes.byteCount - (known.byteCount - length)
      return true
    }
    switch RequestHead.parse(known) {
    case .incomplete:
      if head.isEmpty { head = [UInt8](copying: known) }
      offset = bytes.byteCount
      return false
    case .malformed(let fault):
      refuse(Refusal(fault), isToHEAD: known.begins(with: "HEAD "))
      return false
    case .complete(let request, let length):
      guard case .begun = begin(request, nil, in: known, length: length) else { return false }
      head = []
      deadline.clear()
      offset = bytes.byteCount - (known.byteCount - length)
      return true
    }
  }

  /// Reads on in the body of the current request, and answers it if that was what it waited for.
  ///
  /// - Returns: whether there may be more to do with the bytes.
  private func readBody(_ bytes: RawSpan, _ offset: inout Int) -> Bool {
    var steps = 0
    while let step = nextOfBody(bytes, &offset) {
      switch step {
      case .content(let range):
        if let fault = current?.collector?.add(bytes.extracting(range)) {
          completeBody(.failure(fault))
          return true
        }
        steps += 1
        if steps % Self.stepsPerLook == 0, !reactor.hasTimeLeft() { return false }
      case .incomplete:
        guard let answer = current?.answer else { return false }
        // The rest of the body may be what waits for its turn.
        guard hasAllBytes else {
          connection.resumeReading()
          return false
        }
        send(answer)
        return true
      case .complete:
        if let answer = current?.answer {
          send(answer)
        } else {
          completeBody(.success(current?.collector?.bytes ?? []))
        }
        return true
      case .malformed(let fault):
        refuse(Refusal(fault))
        return false
      }
    }
    return false
  }

  /// - Returns: nil while nobody wants the body.
  private func nextOfBody(_ bytes: RawSpan, _ offset: inout Int) -> BodyReader.Step? {
    guard let current, current.collector != nil || current.answer != nil else { return nil }
    return current.body.next(in: bytes, at: &offset)
  }

  private func completeBody(_ outcome: Result<[UInt8], HTTPExchange.BodyFault>) {
    let completed = current?.collector?.completed
    current?.collector = nil
    completed?(outcome)
  }

  func peerFinished() {
    hasPeerFinished = true
    guard phase == .open else { return }
    if !head.isEmpty || current?.body.isComplete == false, current?.answer == nil {
      return refuse(.badRequest("the request ends too early"))
    }
    if current == nil { endWhenSent() } else { watchTime() }
  }

  func drained() { answersSent() }

  /// The client is gone. What it sent before is handled like any other input, once the current request is answered.
  func brokeWhilePaused() -> RestOfInput {
    guard phase == .open else { return .dropped }
    if !isWaiting { connection.resumeReading() }
    return .kept
  }

  func closed(_ reason: ConnectionEnd) {
    phase = .gone
    release()
    owner.remove(self, isClosed: true)
  }

  private func release() {
    deadline.cancel()
    current?.exchange?.abandon()
    current = nil
    held = nil
    head = []
  }
}

// MARK: - Requests

extension HTTPConnection {
  /// - Parameters:
  ///   - first: what is known of the connection's first request.
  ///   - bytes: all that is known from its head on.
  private func begin(
    _ request: RequestHead, _ first: FirstRequest?, in bytes: RawSpan, length: Int
  ) -> Beginning {
    let served = owner.served
    let place: HTTPPlace?
    if let first, first.routes === served.routes {
      place = first.place
    } else {
      place = request.fields.wantWebSocket ? nil : owner.place(of: request.target, among: served.routes)
      guard served.routes.destination(of: request, at: place) == nil else {
        owner.becomeSession(connection, bytes, of: client)
        leave()
        return .over
      }
    }
    let framing: BodyFraming
    do throws(RequestFault) {
      framing = try request.bodyFraming()
    } catch {
      refuse(Refusal(error), isToHEAD: request.method == "HEAD")
      return .over
    }
    guard HTTPMethods.known.contains(request.method) else {
      refuse(.unknownMethod)
      return .over
    }
    let handler = served.handler(method: request.method, target: request.target, at: place)
    if handler?.isOfService == true { return handOver(bytes) }
    let client = count(Current(request, framing), request.fields)
    guard current?.answer == nil else { return .begun }
    if case .publish(let endpoint)? = handler, let place {
      owner.recurring.note(request, bytes.extracting(..<length), at: place, endpoint, of: served)
      publish(request, at: place, to: endpoint, from: client)
    } else {
      current?.answer = owner.responder.answer(request, handler, at: place, from: client, of: served)
    }
    return .begun
  }

  /// Begins a request whose head is known, and what it leads to.
  private func begin(_ known: RecurringHeads.Known, body: Int) {
    let client = count(Current(known, .length(body)), known.request.fields)
    guard current?.answer == nil else { return }
    publish(known.request, at: known.place, to: known.endpoint, knowing: known.publisher, from: client)
  }

  private func publish(
    _ request: RequestHead, at place: HTTPPlace, to endpoint: PublishEndpoint,
    knowing known: KnownPublisher? = nil, from client: Client
  ) {
    let exchange = HTTPExchange(
      request, of: client, place.path, place.match, owner.sessions, known: known, on: self)
    current?.exchange = exchange
    endpoint.respond(to: exchange)
  }

  /// Files and proxied requests are the HTTP service's.
  private func handOver(_ bytes: RawSpan) -> Beginning {
    // With TLS the service answers through this connection, behind what was written before.
    if !connection.isSecure, connection.hasUnsent { return .later }
    guard owner.handOver(connection, bytes, of: client) else {
      if connection.isSecure, !connection.isClosed {
        refuse(.tooManyConnections, isToHEAD: bytes.begins(with: "HEAD "))
      } else {
        // The client is gone. Waiting would not help.
        connection.abort()
      }
      return .over
    }
    leave()
    return .over
  }

  /// Somebody else handles the connection.
  private func leave() {
    phase = .gone
    release()
    owner.remove(self, isClosed: false)
  }

  /// Makes the request the current one, which is answered already if its client has too many connections.
  ///
  /// - Returns: who has sent it.
  private func count(_ current: Current, _ fields: [HeaderField]) -> Client {
    let process = owner.gateway.process
    let (client, refusal) = process.client(of: fields, behind: client, isHandshake: false)
    if client.place !== self.client.place { current.place = client.place }
    if let refusal {
      process.counters.refusals.up()
      current.answer = HTTPAnswer(refusal.reason)
    }
    self.current = current
    return client
  }
}

extension HTTPConnection: HTTPExchangeConnection {
  func readBody(
    of exchange: HTTPExchange, atMost most: Int, growing share: MemoryShare,
    _ completed: @escaping (Result<[UInt8], HTTPExchange.BodyFault>) -> Void
  ) {
    guard let current, current.exchange === exchange else { return }
    switch current.framing {
    case .none: return completed(.failure(.missing))
    case .length(let length) where length > most: return completed(.failure(.tooLarge))
    case .length, .chunked: break
    }
    let due = reactor.now + owner.gateway.process.server.handshake
    current.collector = BodyCollector(atMost: most, growing: share, due: due, completed)
    if current.waitsForContinue {
      current.waitsForContinue = false
      write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
    }
    goOn(reading: true)
  }

  func answer(_ exchange: HTTPExchange, with answer: HTTPAnswer) {
    guard let current, current.exchange === exchange else { return }
    current.answer = answer
    current.collector = nil
    goOn(reading: false)
  }

  /// Somebody has decided how the current request goes on.
  private func goOn(reading: Bool) {
    // If its bytes are being handled now, that loop continues by itself.
    guard !isHandling else { return }
    if reading { connection.resumeReading() }
    handle(RawSpan(), from: 0)
    if phase == .open, current == nil { connection.resumeReading() }
  }
}

// MARK: - Answers

extension HTTPConnection: EndOfTurn {
  private func write(_ bytes: [UInt8]) {
    connection.write(bytes.rawBytes)
  }

  private func send(_ answer: HTTPAnswer) {
    guard let request = current else { return }
    current = nil
    let isLast = request.isLast || !request.body.isComplete || hasPeerFinished || owner.isStopping
    let sequel: HTTPAnswer.Sequel =
      isLast ? .close : request.minorVersion == 0 ? .nextOfOldClient : .next
    write(
      answer.bytes(
        sequel, isToHEAD: request.isToHEAD, date: owner.sessions.date, minorVersion: request.minorVersion))
    if request.place != nil || answer.share != nil {
      held = Held(place: request.place, share: answer.share)
    }
    if isLast { phase = .ending }
    if isLast || held != nil { awaitSending() }
  }

  /// Answers what is no HTTP. Nothing after it can be understood.
  private func refuse(_ reason: Refusal, isToHEAD: Bool? = nil) {
    let refusal = HandshakeRefusal(reason)
    owner.sessions.refusals.record(refusal, target: nil, peer: client.peer)
    let isToHEAD = isToHEAD ?? current?.isToHEAD ?? head.starts(with: "HEAD ".utf8)
    release()
    write(refusal.response(date: owner.sessions.date, isToHEAD: isToHEAD))
    phase = .ending
    awaitSending()
  }

  /// Sees to it that `answersSent` is called. Outside of a read, the connection itself tells.
  private func awaitSending() {
    guard connection.hasUnsent else { return answersSent() }
    if isReading, !isAtEndOfTurn {
      isAtEndOfTurn = true
      reactor.atEndOfTurn(self)
    } else {
      watchTime()
    }
  }

  func endOfTurn() {
    isAtEndOfTurn = false
    if connection.hasUnsent { watchTime() } else { answersSent() }
  }

  /// The kernel has all answers, or the client is gone.
  private func answersSent() {
    held = nil
    switch phase {
    case .gone: return
    case .ending: return end()
    case .open:
      if current == nil { connection.resumeReading() }
      watchTime()
    }
  }

  private func endWhenSent() {
    phase = .ending
    awaitSending()
  }

  /// Says that nothing more will come, and waits for the client to say the same.
  private func end() {
    phase = .gone
    release()
    connection.finish(timeout: Self.lingering)
  }
}

// MARK: - Time

extension HTTPConnection {
  /// Notes what is waited for now, and for how long.
  private func watchTime() {
    guard phase != .gone else { return }
    if phase == .ending || connection.queuedBytes > 0 {
      deadline.set(.reader(left: connection.queuedBytes))
    } else if let current {
      if let due = current.collector?.due {
        deadline.set(.body, due)
      } else if hasPeerFinished {
        deadline.set(.answer)
      } else {
        deadline.clear()
      }
    } else if head.isEmpty, let due = owner.lastRequests {
      deadline.set(.lastRequest, due)
    } else if head.isEmpty {
      deadline.set(.request, reactor.now + owner.gateway.process.server.keepAlive)
    } else if deadline.wait != .head {
      deadline.set(.head, reactor.now + owner.gateway.process.server.handshake)
    }
  }

  private func timeIsUp() {
    switch deadline.over() {
    case nil: break
    case .request, .lastRequest: end()
    case .head: refuse(.timeout)
    case .body:
      completeBody(.failure(.late))
      watchTime()
    case .reader(let left):
      if connection.queuedBytes < left { watchTime() } else { connection.abort() }
    case .answer: connection.abort()
    }
  }
}
