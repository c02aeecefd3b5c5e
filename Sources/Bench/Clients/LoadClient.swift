import NetworkFaults
import Transport

/// One connection of a load, from its first byte to its last. Its part decides what it does in between, and a subclass how that is
/// said. Confined to its crew's reactor.
class LoadClient {
  private enum State {
    case opening
    case open
    /// The connection is to end, and the server's end is waited for.
    case closing
    case ended
  }

  final let part: any ClientPart
  final let crew: Crew
  private final var state = State.opening
  private final var connection: Connection?
  private final var deadline: Timer?
  /// When the connection was started, in nanoseconds.
  final let started: UInt64

  /// The most bytes of one message.
  static let largestMessage = 64 << 20
  /// How long the server may take to end the connection.
  private static let closeTimeout = Duration.seconds(2)

  init(_ part: any ClientPart, _ descriptor: consuming Descriptor, to place: Destination, of crew: Crew) {
    self.part = part
    self.crew = crew
    started = crew.now
    guard let tls = place.tls else {
      connection = crew.reactor.adopt(descriptor, handler: self)
      greet()
      return
    }
    connection = crew.reactor.adopt(descriptor, handler: self, tls: tls, connectingTo: place.target.host)
  }

  // MARK: What subclasses say and understand

  /// Sends the first bytes.
  func greet() {}

  /// Reads bytes of the server, of a client that is opening, open or closing.
  func read(_ bytes: inout MutableRawSpan) {}

  /// Begins the end of an open client.
  func sayGoodbye() {}

  /// Why a server that did not answer `greet` in time has failed.
  var unanswered: String { "the server did not answer the request in time" }

  /// Why a server that ends the connection has failed.
  var endedEarly: String { "the server closed a connection" }

  /// Whether a server that ends the connection now does what it may (RFC 9112 section 9.3): another one is opened then.
  var mayBeEnded: Bool { false }

  /// How much of what the client has sent is not answered yet.
  var awaited: Int { 0 }

  /// - Parameter message: what the part sends: a whole frame, or a whole request. What is sent during `ClientPart.received` or
  ///   `answered` leaves together.
  func send(_ message: RawSpan) {
    if isOpen { write(message) }
  }

  /// Sends several at once.
  func send(_ messages: SharedBytes, count: Int) {
    if isOpen { connection?.write(messages, from: 0) }
  }
}

// MARK: - From the beginning to the end

extension LoadClient {
  final var isOpen: Bool { state == .open }
  final var isOpening: Bool { state == .opening }

  final var queuedBytes: Int { connection?.queuedBytes ?? 0 }

  final func write(_ bytes: RawSpan) {
    connection?.write(bytes)
  }

  /// The server has accepted the client.
  final func open() {
    state = .open
    crew.opened(self)
  }

  final func close() {
    guard isOpen else { return }
    state = .closing
    deadline = crew.reactor.timer { [weak self] in self?.fail("the server did not end the connection in time")
    }
    deadline?.schedule(after: Self.closeTimeout)
    sayGoodbye()
  }

  /// Ends the connection at once.
  final func abort() {
    connection?.abort()
  }

  /// Gives way to another connection, because the server serves this one no longer.
  final func renew() {
    guard isOpen else { return }
    state = .ended
    connection?.abort()
    crew.renew(self)
  }

  /// Ends a connection that the server has opened only to refuse it.
  final func refuse(_ problem: @autoclosure () -> String) {
    guard state == .open || state == .closing else { return }
    state = .ended
    deadline?.cancel()
    connection?.abort()
    crew.refused(self, problem())
  }

  /// Ends a connection whose server has not answered in time.
  final func giveUpOpening() {
    if isOpening { fail(unanswered) }
  }

  /// Ends the connection with a problem.
  final func fail(_ problem: @autoclosure () -> String) {
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

extension LoadClient: ConnectionHandler {
  final func established() {
    greet()
  }

  final func received(_ bytes: inout MutableRawSpan) {
    crew.now = MonotonicTime.now.nanoseconds
    if state != .ended { read(&bytes) }
  }

  final func peerFinished() {
    if mayBeEnded { renew() } else { fail(endedEarly) }
  }

  final func drained() {}

  final func closed(_ reason: ConnectionEnd) {
    fail(connection?.tlsFault.map { PeerFault($0, of: .server).sentence } ?? reason.text)
    connection = nil
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
