/// What is done with the bytes of one connection. Every call comes on the connection's reactor.
public protocol ConnectionHandler: AnyObject {
  /// All that one read gave, in the reactor's shared buffer: valid only during the call, and free to be changed in place; or
  /// what the handler left of it (`Connection.leave`), which is as it left it.
  func received(_ bytes: inout MutableRawSpan)

  /// The peer sends no more; it may still read.
  func peerFinished()

  /// Everything queued has been taken by the kernel, after some of it had to wait.
  func drained()

  /// It asked for another turn (`Connection.askForTurn`), and the others have had theirs.
  func goOn()

  /// The process has no memory left for what waits to be sent, and what waits here has waited longest: it was given up, and the
  /// connection is to be finished. One that is still open afterwards is closed.
  func mustGiveWay()

  /// The last call, exactly once, at the end of the turn in which the connection was closed, or, where many were, of one soon after.
  func closed(_ reason: ConnectionEnd)
}

extension ConnectionHandler {
  public func goOn() {}
  public func mustGiveWay() {}
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
