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
  /// Correspond to HTTP's 401 and 403, for refusals after the upgrade.
  public static let unauthorized = CloseCode(rawValue: 4401)
  public static let forbidden = CloseCode(rawValue: 4403)

  /// Whether a close frame may carry the code. 1004, 1005, 1006 and 1015 only describe connections that ended without one.
  public var isValidOnWire: Bool {
    switch rawValue {
    case 1000...1003, 1007...1014, 3000...4999: true
    default: false
    }
  }
}

/// Why the gateway closes a session: the code, the text, and what the client should do.
public enum CloseReason: Sendable, Equatable {
  /// The process is being stopped; the code is `shutdown.code`.
  case restart(code: CloseCode)
  /// The client reads more slowly than messages arrive for it, and its queue is full.
  case slowReader
  /// The clients have begun more messages than there is memory for, and the message of this client has been unfinished for the
  /// longest time.
  case inputOverLimit
  /// The client did not answer a ping.
  case pingTimeout
  /// The upstream of a `proxy` route ended the connection without a close frame, or violated the WebSocket protocol.
  case upstreamLost
  /// The client did not send a token in time, or its token is not valid, or has expired; the text says which.
  case notAuthenticated(String)
  /// The token is valid, but its claims do not allow this.
  case notAllowed
  /// Authentication is temporarily unavailable.
  case identityUnavailable
  /// An operator has ended the user's sessions, and has given the text.
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

  /// The reason in the close frame: at most 123 bytes, as a control frame holds 125.
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

  /// Whether the client should connect again.
  public var isWorthReconnecting: Bool {
    switch self {
    case .restart, .slowReader, .inputOverLimit, .pingTimeout, .upstreamLost, .identityUnavailable: true
    // With another token.
    case .notAuthenticated: true
    case .notAllowed, .disconnected: false
    }
  }
}
