/// Finds clients that vanished: it asks for a ping after a silence, and for the end of the session if nothing arrives after
/// that.
///
/// Times are nanoseconds on any clock that does not go back.
public struct KeepAlive: Sendable, Equatable {
  public enum Action: Sendable, Equatable {
    case nothing
    case sendPing
    case timedOut
  }

  private let interval: UInt64
  private let timeout: UInt64
  private var lastReceived: UInt64
  private var pingedAt: UInt64?

  /// When something arrived last, and when that was asked for; nil if it was not.
  public var times: (lastReceived: UInt64, pingedAt: UInt64?) {
    get { (lastReceived, pingedAt) }
    set { (lastReceived, pingedAt) = newValue }
  }

  public init(interval: UInt64, timeout: UInt64, startedAt now: UInt64) {
    self.interval = interval
    self.timeout = timeout
    lastReceived = now
  }

  /// Anything from the client shows that it is alive, not only a pong.
  public mutating func received(at now: UInt64) {
    lastReceived = now
    pingedAt = nil
  }

  public mutating func check(at now: UInt64) -> Action {
    if let pingedAt {
      return now >= pingedAt + timeout ? .timedOut : .nothing
    }
    guard now >= lastReceived + interval else { return .nothing }
    pingedAt = now
    return .sendPing
  }
}
