/// Handles the bytes of one connection. Every call comes on the connection's reactor.
public protocol ConnectionHandler: AnyObject {
  /// Called with all bytes of one read. They are in the reactor's shared buffer: valid only during the call, and the handler
  /// may change them in place. Bytes that the handler left earlier (`Connection.leave`) come again as it left them.
  func received(_ bytes: inout MutableRawSpan)

  /// The server is connected to, and its handshake of TLS is over: bytes can be written. Not called for the connections of clients.
  func established()

  /// The peer sends no more bytes. It may still read.
  func peerFinished()

  /// The kernel has accepted everything that was queued, after some of it had to wait.
  func drained()

  /// Called after `Connection.askForTurn`, when the other connections have had their turn.
  func goOn()

  /// The process has no memory left for unsent bytes, and those of this connection waited longest. They were discarded, and the
  /// handler has to finish the connection. If it is still open afterwards, it is closed.
  func mustGiveWay()

  /// The connection broke while reading is paused: nothing can be sent any more, and unsent bytes were discarded. What the peer
  /// sent before can still be read. The handler resumes reading now, or when the reason for its pause is gone.
  ///
  /// - Returns: `kept` if the handler resumes reading within a few seconds; `dropped` to close the connection now.
  func brokeWhilePaused() -> RestOfInput

  /// The last call, exactly once: at the end of the turn in which the connection was closed, or a few turns later if many
  /// connections were closed at once.
  func closed(_ reason: ConnectionEnd)
}

extension ConnectionHandler {
  public func established() {}
  public func goOn() {}
  public func mustGiveWay() {}
  public func brokeWhilePaused() -> RestOfInput { .dropped }
}

/// What happens to the input of a broken connection that was not read yet.
public enum RestOfInput: Sendable {
  case kept
  case dropped
}

/// How a connection came to its end.
public enum ConnectionEnd: Sendable, Equatable {
  /// This side closed it, or gave up waiting for the peer after `finish`.
  case local
  /// Both sides finished.
  case finished
  /// The peer reset it, or it broke; `errno`.
  case failed(Int32)
}

/// Work that is put off until all events of a turn were handled.
public protocol EndOfTurn: AnyObject {
  func endOfTurn()
}
