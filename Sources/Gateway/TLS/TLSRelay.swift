import NIOCore
import NIOSSL

/// Joins a TLS connection to one end of a socket pair; the other end is a plain connection on a reactor, which does not know of
/// TLS. Confined to the event loop that both channels are on.
///
/// A half that one side closes is closed at the other side; a connection that is over here is over there. The reactor's side
/// keeps the time of a hand-shake and decides when a connection ends.
final class TLSRelay {
  private enum Phase {
    /// Nothing is passed on.
    case handshake
    case open
    /// The reactor's side sends no more: what there is still goes to the client, then TLS's farewell.
    case finishing
    case over
  }

  /// How long a client may take to close a connection that was closed here.
  private static let lingering = TimeAmount.seconds(2)

  private let loop: any EventLoop
  private let completed: (Result<Void, any Error>) -> Void
  private let ended: () -> Void
  private var phase = Phase.handshake
  private var secure: RelayEnd?
  private var plain: RelayEnd?
  private var farewell: Scheduled<Void>?
  private var hasEnded = false
  /// Whether it is known that the peer has not sent a byte.
  var isUnheard = false

  /// The peer has closed the connection without a byte, as a health check does.
  struct NothingSaid: Error {}

  /// - Parameters:
  ///   - completed: told once what became of the hand-shake.
  ///   - ended: called once, when the TLS connection is closed.
  init(
    on loop: any EventLoop, completed: @escaping (Result<Void, any Error>) -> Void,
    ended: @escaping () -> Void
  ) {
    self.loop = loop
    self.completed = completed
    self.ended = ended
  }

  func join(_ end: RelayEnd, as side: RelayEnd.Side) {
    switch side {
    case .secure: secure = end
    case .plain: plain = end
    }
  }

  func end(opposite side: RelayEnd.Side) -> RelayEnd? {
    switch side {
    case .secure: plain
    case .plain: secure
    }
  }

  /// Whether there is nothing to join any more.
  var isOver: Bool {
    if case .over = phase { true } else { false }
  }

  func handshakeCompleted() {
    guard case .handshake = phase else { return }
    phase = .open
    completed(.success(()))
    plain?.read()
  }

  func inputEnded(at side: RelayEnd.Side) {
    switch side {
    case .plain: finish()
    case .secure: if case .handshake = phase { break } else { plain?.closeOutput() }
    }
  }

  func failed(at side: RelayEnd.Side, _ error: any Error) {
    guard case .secure = side else { return }
    if case .handshake = phase {
      // Closed by the TLS handler, which has something to say to the client first.
      failHandshake(error)
    } else if case NIOSSLError.uncleanShutdown = error {
      // The client ended without TLS's farewell, and that it ended is told as well.
    } else {
      phase = .over
      secure?.abandon()
    }
  }

  /// The side's channel is closed.
  func leave(_ side: RelayEnd.Side) {
    switch side {
    case .plain:
      plain = nil
      finish()
      // It may have waited for the one that has gone.
      secure?.read()
    case .secure:
      secure = nil
      fail(ChannelError.eof)
    }
  }

  /// There is no TLS connection, or none any more.
  func fail(_ error: any Error) {
    guard !hasEnded else { return }
    hasEnded = true
    if case .handshake = phase { failHandshake(error) }
    phase = .over
    farewell?.cancel()
    farewell = nil
    plain?.close()
    ended()
  }

  /// Closes everything at once.
  func abandon() {
    phase = .over
    secure?.abandon()
    plain?.close()
  }

  private func failHandshake(_ error: any Error) {
    phase = .over
    completed(.failure(isUnheard ? NothingSaid() : error))
  }

  private func finish() {
    switch phase {
    case .finishing, .over: return
    case .handshake:
      failHandshake(ChannelError.inputClosed)
      secure?.abandon()
    case .open:
      phase = .finishing
      let sent = loop.makePromise(of: Void.self)
      sent.futureResult.assumeIsolated().whenComplete { [self] _ in
        guard let secure else { return }
        farewell = loop.assumeIsolated().scheduleTask(in: Self.lingering) { secure.abandon() }
      }
      secure?.closeOutput(promise: sent)
    }
  }
}

@available(*, unavailable)
extension TLSRelay: Sendable {}
