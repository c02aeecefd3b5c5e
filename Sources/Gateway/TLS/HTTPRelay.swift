import Transport

/// Passes the bytes of a client with TLS on to the HTTP service, decrypted and through a pair of sockets, and the answers back.
///
/// Each side is read only as fast as the other one takes it. If a side says that it sends no more, the other one is told; if the
/// service ends, so does the client's connection. Confined to its reactor.
final class HTTPRelay {
  /// Above this, the other side is not read. Bytes.
  private static let mostWaiting = 64 * 1024
  /// How long a client may take to close a connection that was closed here.
  private static let lingering = Duration.seconds(2)
  /// A service that takes nothing for this long gets no more of what its client sent before it left.
  private static let servicePatience = Duration.seconds(5)

  private let client: End
  private let service: End
  /// Called once, when both sides are closed.
  private var ended: ((HTTPRelay) -> Void)?

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

  private func other(of side: Side) -> Connection? {
    switch side {
    case .client: service.connection
    case .service: client.connection
    }
  }

  private func pass(_ bytes: RawSpan, from end: End) {
    guard let other = other(of: end.side) else { return }
    other.write(bytes)
    if other.queuedBytes > Self.mostWaiting { end.connection?.pauseReading() }
  }

  private func inputEnded(at side: Side) {
    switch side {
    case .client: service.connection?.finishSending()
    case .service: client.connection?.finish(timeout: Self.lingering)
    }
  }

  private func closed(_ side: Side) {
    switch side {
    case .client:
      client.connection = nil
      service.connection?.finish(timeout: Self.servicePatience)
    case .service:
      service.connection = nil
      client.connection?.finish(timeout: Self.lingering)
    }
    guard client.connection == nil, service.connection == nil, let ended else { return }
    self.ended = nil
    ended(self)
  }

  private enum Side {
    case client
    case service
  }

  /// Handles one of the two connections.
  private final class End: ConnectionHandler {
    let side: Side
    /// Nil once it is closed.
    var connection: Connection?
    /// The relay and its ends keep each other until both are closed.
    var relay: HTTPRelay?

    init(_ side: Side) {
      self.side = side
    }

    func received(_ bytes: inout MutableRawSpan) {
      relay?.pass(bytes.bytes, from: self)
    }

    func peerFinished() {
      relay?.inputEnded(at: side)
    }

    func drained() {
      relay?.other(of: side)?.resumeReading()
    }

    func brokeWhilePaused() -> RestOfInput { .kept }

    func closed(_ reason: ConnectionEnd) {
      relay?.closed(side)
      relay = nil
    }
  }
}
