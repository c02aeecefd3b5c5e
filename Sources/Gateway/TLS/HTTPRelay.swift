import Transport

/// Passes the bytes of a client with TLS on to the HTTP service, decrypted and through a pair of sockets, and the answers back.
///
/// Each side is read only as fast as the other one takes it. If a side says that it sends no more, the other one is told; if the
/// service ends, so does the client's connection, once the client has the rest of its answer. Confined to its reactor.
final class HTTPRelay: CheckedPeer {
  /// Above this, the other side is not read. Bytes.
  private static let mostWaiting = 64 * 1024

  private let client: End
  private let service: End
  private var silence = PeerSilence()
  /// Called once, when both sides are closed.
  private var ended: ((HTTPRelay) -> Void)?
  var index = 0

  /// - Parameters:
  ///   - client: an open connection with TLS.
  ///   - descriptor: one of a pair of sockets, with the service at the other one.
  init(
    from client: Connection, to descriptor: Int32, on reactor: Reactor, ended: @escaping (HTTPRelay) -> Void
  ) {
    self.client = End(.client)
    service = End(.service)
    self.ended = ended
    self.client.relay = self
    service.relay = self
    self.client.connection = client
    client.handler = self.client
    service.connection = reactor.adopt(Descriptor(adopting: descriptor), handler: service)
  }

  /// Closes both sides at once.
  func abandon() {
    client.connection?.abort()
    service.connection?.abort()
  }

  /// The service sees only a pair of sockets, and cannot find out that the client is gone.
  func checkPeer(at now: UInt64, bound: UInt64) {
    guard let client = client.connection, silence.isOver(at: now, bound: bound, client.peerReport) else {
      return
    }
    client.peerVanished()
  }

  private func other(of end: End) -> End {
    end === client ? service : client
  }

  private func pass(_ bytes: RawSpan, from end: End) {
    guard let target = other(of: end).connection else { return }
    target.write(bytes)
    if target.queuedBytes > Self.mostWaiting, !end.isReadToTheEnd { end.connection?.pauseReading() }
  }

  private func inputEnded(at end: End) {
    if end === client { service.connection?.finishSending() } else { client.finish() }
  }

  private func brokeWhilePaused(_ end: End) {
    if end === client {
      // Its answer goes nowhere. The service may take nothing before it is rid of that.
      service.connection?.resumeReading()
    } else {
      // A slow client takes longer than a broken connection is kept, and the system's buffer for a pair is small.
      service.isReadToTheEnd = true
      service.connection?.resumeReading()
    }
  }

  private func closed(_ end: End) {
    let other = other(of: end)
    // It may have waited for the closed one.
    other.connection?.resumeReading()
    // A service that only heard no more would go on answering nobody.
    if end === client { other.close() } else { other.finish() }
    guard client.connection == nil, service.connection == nil, let ended else { return }
    self.ended = nil
    ended(self)
  }

  private enum Side {
    case client
    case service

    /// How long it may take none of what was sent before the other side ended.
    var patience: Duration {
      switch self {
      case .client: .seconds(30)
      case .service: .seconds(5)
      }
    }

    /// How long it may take to close, once it has everything.
    var lingering: Duration {
      switch self {
      case .client: .seconds(2)
      case .service: .seconds(5)
      }
    }
  }

  /// Handles one of the two connections.
  private final class End: ConnectionHandler {
    private let side: Side
    /// Nil once it is closed.
    var connection: Connection?
    /// The relay and its ends keep each other until both are closed.
    var relay: HTTPRelay?
    /// Whether it is read however much waits at the other end.
    var isReadToTheEnd = false
    /// Nothing more is written: it is finished as soon as nothing waits.
    private var isEnding = false
    private var closesAtOnce = false
    /// What waited when the time to take some of it began. Bytes.
    private var left = 0
    private var deadline: Timer?

    init(_ side: Side) {
      self.side = side
    }

    /// Sends what waits, as long as some of it is taken, then says that nothing more will come, and closes.
    func finish() {
      guard let connection, !isEnding else { return }
      isEnding = true
      finishOrWait(connection)
    }

    /// Sends what waits, like `finish`, and closes at once then: nobody hears what it would still say.
    func close() {
      guard let connection else { return }
      closesAtOnce = true
      isEnding = true
      finishOrWait(connection)
    }

    private func finishOrWait(_ connection: Connection) {
      left = connection.queuedBytes
      guard left > 0 else {
        deadline?.cancel()
        return closesAtOnce ? connection.abort() : connection.finish(timeout: side.lingering)
      }
      // Unowned: the connection's end cancels it.
      let deadline = deadline ?? connection.reactor.timer { [unowned self] in timeIsUp() }
      self.deadline = deadline
      deadline.schedule(after: side.patience)
    }

    private func timeIsUp() {
      guard let connection else { return }
      if connection.queuedBytes < left { finishOrWait(connection) } else { connection.abort() }
    }

    func received(_ bytes: inout MutableRawSpan) {
      relay?.pass(bytes.bytes, from: self)
    }

    func peerFinished() {
      relay?.inputEnded(at: self)
    }

    func drained() {
      guard let connection, let relay else { return }
      if isEnding { finishOrWait(connection) } else { relay.other(of: self).connection?.resumeReading() }
    }

    func brokeWhilePaused() -> RestOfInput {
      relay?.brokeWhilePaused(self)
      return .kept
    }

    func closed(_ reason: ConnectionEnd) {
      deadline?.cancel()
      deadline = nil
      connection = nil
      relay?.closed(self)
      relay = nil
    }
  }
}
