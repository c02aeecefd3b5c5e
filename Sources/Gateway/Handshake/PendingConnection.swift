import ChannelLayers
import GatewayConfig
import Routing
import Transport
import WebSocketCore

/// A connection whose request head is still being read: the time before it is a session, an HTTP connection, or refused.
final class PendingConnection {
  private unowned let worker: Worker
  private let admission: Admission
  private var connection: Connection?
  private var deadline: Timer?
  /// The part of the head that has arrived.
  private var head: [UInt8] = []
  private var isAnswered = false
  /// Whether it still takes up one of `limits.connections`: a refused one that is only waited for does not.
  private var isCounted = true
  /// What it becomes once the channel layer brings the group's events, and the bytes behind its head.
  private var waiting: (opening: SessionOpening, layer: any ChannelLayer, group: String, rest: [UInt8])?

  /// How long the last bytes of a refusal may take to arrive.
  private static let lingering = Duration.seconds(2)

  init(worker: Worker, admission: Admission) {
    self.worker = worker
    self.admission = admission
  }

  /// Starts to read, or refuses unheard.
  func start(on descriptor: consuming Descriptor, refuse reason: HandshakeRefusal.Reason?) {
    connection = worker.reactor.adopt(descriptor, handler: self)
    if let reason { return refuse(HandshakeRefusal(reason), target: nil) }
    let deadline = worker.reactor.timer { [unowned self] in timeOut() }
    deadline.schedule(after: worker.gateway.server.handshake)
    self.deadline = deadline
  }

  /// The head that the HTTP side had read already.
  func received(head bytes: [UInt8]) {
    var bytes = bytes
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    received(&raw)
  }

  func abandon() {
    connection?.abort()
  }

  private func timeOut() {
    if waiting != nil {
      stopWaiting(.layerUnavailable)
    } else {
      refuse(HandshakeRefusal(.timeout), target: nil)
    }
  }
}

extension PendingConnection: ConnectionHandler {
  func received(_ bytes: inout MutableRawSpan) {
    guard !isAnswered else { return }
    guard head.isEmpty else {
      head.append(copying: bytes.bytes)
      var whole = head
      var span = whole.mutableSpan
      var raw = unsafe span.mutableBytes
      return read(&raw)
    }
    read(&bytes)
  }

  private func read(_ bytes: inout MutableRawSpan) {
    switch RequestHead.parse(bytes.bytes) {
    case .incomplete:
      if head.isEmpty { head = [UInt8](copying: bytes.bytes) }
    case .malformed(let refusal):
      refuse(refusal, target: nil)
    case .complete(let request, let length):
      guard request.wantsWebSocket else { return handToHTTP([UInt8](copying: bytes.bytes)) }
      switch worker.decide(request, admission) {
      case .success(let opening): open(opening, rest: &bytes, from: length)
      case .failure(let refusal): refuse(refusal, target: request.target)
      }
    }
  }

  func peerFinished() {
    connection?.abort()
  }

  func drained() {}

  func closed(_ reason: ConnectionEnd) {
    deadline?.cancel()
    forgetWaiting()
    stopCounting()
    worker.pendingEnded(self)
  }
}

// MARK: - What becomes of it

extension PendingConnection {
  /// Makes sure that the group's events arrive before the client is told that it is accepted (as Channels' consumers do,
  /// which join in `connect`), and goes on as a session.
  private func open(_ opening: SessionOpening, rest bytes: inout MutableRawSpan, from length: Int) {
    guard let group = opening.group, let layer = worker.layer(of: opening.route) else {
      return accept(opening, in: nil, rest: &bytes, from: length)
    }
    var answer: Subscription?
    var isWaiting = false
    layer.subscribe(to: group) { [weak self] outcome in
      if isWaiting { self?.subscribed(outcome) } else { answer = outcome }
    }
    switch answer {
    case .active: accept(opening, in: layer, rest: &bytes, from: length)
    case .unavailable: refuse(HandshakeRefusal(.layerUnavailable), target: nil)
    case nil:
      isWaiting = true
      var rest = [UInt8](copying: bytes.bytes)
      rest.removeFirst(length)
      waiting = (opening, layer, group, rest)
      isAnswered = true
      connection?.pauseReading()
    }
  }

  private func subscribed(_ outcome: Subscription) {
    guard let (opening, layer, _, following) = waiting else { return }
    var rest = following
    waiting = nil
    isAnswered = false
    guard outcome == .active else { return refuse(HandshakeRefusal(.layerUnavailable), target: nil) }
    var span = rest.mutableSpan
    var raw = unsafe span.mutableBytes
    connection?.resumeReading()
    accept(opening, in: layer, rest: &raw, from: 0)
  }

  /// Refuses a client that still waits for the channel layer.
  func stopWaiting(_ reason: HandshakeRefusal.Reason = .stopping) {
    guard waiting != nil else { return }
    forgetWaiting()
    isAnswered = false
    connection?.resumeReading()
    refuse(HandshakeRefusal(reason), target: nil)
  }

  private func forgetWaiting() {
    guard let (_, layer, group, _) = waiting else { return }
    waiting = nil
    layer.unsubscribe(from: group)
  }

  /// Answers 101 and goes on as a session; what came behind the head is its first frames.
  private func accept(
    _ opening: SessionOpening, in layer: (any ChannelLayer)?, rest bytes: inout MutableRawSpan,
    from length: Int
  ) {
    guard let connection else { return }
    isAnswered = true
    deadline?.cancel()
    let session = Session(connection: connection, route: opening.route, worker: worker)
    connection.handler = session
    if let layer, let group = opening.group { session.join(group, of: layer) }
    worker.sessionOpened(session)
    unsafe connection.write(opening.response.span.bytes)
    if bytes.byteCount > length {
      var rest = unsafe bytes._mutatingExtracting(unchecked: length..<bytes.byteCount)
      session.received(&rest)
    }
    worker.pendingEnded(self)
  }

  private func handToHTTP(_ bytes: [UInt8]) {
    isAnswered = true
    deadline?.cancel()
    guard let connection else { return }
    let peer = connection.peer
    guard let descriptor = connection.detach() else { return }
    worker.http.serve(HandedOverConnection(descriptor: descriptor.take(), bytes: bytes, peer: peer))
    worker.pendingEnded(self)
  }

  private func stopCounting() {
    guard isCounted else { return }
    isCounted = false
    worker.gateway.counters.connections.down()
  }

  private func refuse(_ refusal: HandshakeRefusal, target: [UInt8]?) {
    guard !isAnswered, let connection else { return }
    isAnswered = true
    deadline?.cancel()
    stopCounting()
    worker.refusals.record(refusal, target: target, peer: connection.peer)
    unsafe connection.write(refusal.response().span.bytes)
    connection.finish(timeout: Self.lingering)
  }
}
