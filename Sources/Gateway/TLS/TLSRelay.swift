import NIOCore
import NIOSSL

/// Joins a TLS connection with an upstream to one end of a socket pair. The other end is a plain connection on a reactor, which
/// does not know about TLS. Confined to the event loop of both channels.
///
/// If one side closes its half, the half is closed at the other side; if a connection ends on one side, it ends on the other.
/// The reactor's side has the deadline for the handshake, and decides when a connection ends.
final class TLSRelay {
  private enum Phase {
    /// Nothing is passed on.
    case handshake
    case open
    /// The reactor's side sends no more. The rest still goes to the upstream, then TLS's close_notify.
    case finishing
    case over
  }

  /// How long an upstream may take to close a connection that was closed here.
  private static let lingering = TimeAmount.seconds(2)

  private let loop: any EventLoop
  private let completed: (Result<Void, any Error>) -> Void
  private var phase = Phase.handshake
  private var secure: RelayEnd?
  private var plain: RelayEnd?
  private var farewell: Scheduled<Void>?
  private var hasEnded = false

  /// - Parameter completed: called once with the result of the handshake.
  init(on loop: any EventLoop, completed: @escaping (Result<Void, any Error>) -> Void) {
    self.loop = loop
    self.completed = completed
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

  /// Whether the relay has ended.
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
      // The TLS handler closes the connection after it has sent an alert to the upstream.
      failHandshake(error)
    } else if case NIOSSLError.uncleanShutdown = error {
      // The upstream ended without TLS's close_notify, and its end is reported separately.
    } else {
      phase = .over
      secure?.abandon()
    }
  }

  /// The channel of this side is closed.
  func leave(_ side: RelayEnd.Side) {
    switch side {
    case .plain:
      plain = nil
      finish()
      // The remaining side may have waited for the closed one.
      secure?.read()
    case .secure:
      secure = nil
      fail(ChannelError.eof)
    }
  }

  /// There is no TLS connection, or it has ended.
  func fail(_ error: any Error) {
    guard !hasEnded else { return }
    hasEnded = true
    if case .handshake = phase { failHandshake(error) }
    phase = .over
    farewell?.cancel()
    farewell = nil
    // What the upstream sent before its end still goes to the worker, whose own bytes are read and discarded: a worker that
    // waits for them to be accepted would not read.
    plain?.close()
    plain?.read()
  }

  /// Closes the upstream's side at once, and the worker's once it has what the upstream had sent.
  func abandon() {
    phase = .over
    secure?.abandon()
    plain?.close()
  }

  private func failHandshake(_ error: any Error) {
    phase = .over
    completed(.failure(error))
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
      // `assumeIsolated` is sound: the relay is confined to this loop, as its channels are.
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
