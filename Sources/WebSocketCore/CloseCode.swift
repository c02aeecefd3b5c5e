/// The number in a close frame (RFC 6455 section 7.4, and the IANA registry).
public struct CloseCode: RawRepresentable, Sendable, Hashable {
  public let rawValue: UInt16

  public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  public static let normal = CloseCode(rawValue: 1000)
  public static let goingAway = CloseCode(rawValue: 1001)
  public static let protocolError = CloseCode(rawValue: 1002)
  public static let unsupportedData = CloseCode(rawValue: 1003)
  public static let invalidData = CloseCode(rawValue: 1007)
  public static let policyViolation = CloseCode(rawValue: 1008)
  public static let messageTooBig = CloseCode(rawValue: 1009)
  public static let internalError = CloseCode(rawValue: 1011)
  public static let serviceRestart = CloseCode(rawValue: 1012)
  public static let tryAgainLater = CloseCode(rawValue: 1013)
  public static let badGateway = CloseCode(rawValue: 1014)
  /// As HTTP's 401 and 403, after the upgrade.
  public static let unauthorized = CloseCode(rawValue: 4401)
  public static let forbidden = CloseCode(rawValue: 4403)

  /// Whether a close frame may carry it: 1004, 1005, 1006 and 1015 only stand for what happened without one.
  public var isValidOnWire: Bool {
    switch rawValue {
    case 1000...1003, 1007...1014, 3000...4999: true
    default: false
    }
  }
}

/// A close that the gateway itself starts: its code, its text, and what a client should do.
public enum CloseReason: Sendable, Equatable {
  /// The process is being stopped; the code is `shutdown.code`.
  case restart(code: CloseCode)
  /// The client reads more slowly than it is sent to, and its queue is full.
  case slowReader
  /// The clients have begun more messages than there is memory for, and this one's is unfinished longest.
  case inputOverLimit
  /// The client did not answer a ping.
  case pingTimeout
  /// The upstream of a `proxy` route went away without a close frame, or broke the protocol.
  case upstreamLost
  /// The client has not shown who it is in time, or what it showed does not hold, or holds no longer; the text says which.
  case notAuthenticated(String)
  /// It is known who the client is, and that is not enough.
  case notAllowed
  /// Who the client is cannot be found out now.
  case identityUnavailable
  /// An operator has ended the sessions of the user; the text is the operator's.
  case disconnected(String)

  public var code: CloseCode {
    switch self {
    case .restart(let code): code
    case .slowReader, .inputOverLimit: .tryAgainLater
    case .pingTimeout: .goingAway
    case .upstreamLost: .badGateway
    case .notAuthenticated: .unauthorized
    case .notAllowed, .disconnected: .forbidden
    case .identityUnavailable: .tryAgainLater
    }
  }

  /// At most 123 bytes, as a control frame holds 125.
  public var text: String {
    switch self {
    case .restart: "restarting, please reconnect"
    case .slowReader: "the client reads too slowly: messages were dropped"
    case .inputOverLimit: "the memory for unfinished messages is used up"
    case .pingTimeout: "no answer to a ping"
    case .upstreamLost: "the connection to the upstream was lost"
    case .notAuthenticated(let text), .disconnected(let text): text
    case .notAllowed: "the claims of the token do not allow this"
    case .identityUnavailable: "authentication is temporarily unavailable"
    }
  }

  /// Whether trying again makes sense.
  public var isWorthReconnecting: Bool {
    switch self {
    case .restart, .slowReader, .inputOverLimit, .pingTimeout, .upstreamLost, .identityUnavailable: true
    // With another token.
    case .notAuthenticated: true
    case .notAllowed, .disconnected: false
    }
  }
}
