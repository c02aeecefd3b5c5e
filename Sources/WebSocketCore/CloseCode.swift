/// The number in a close frame (RFC 6455 section 7.4, and the IANA registry).
package struct CloseCode: RawRepresentable, Sendable, Hashable {
  package let rawValue: UInt16

  package init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  package static let normal = CloseCode(rawValue: 1000)
  package static let goingAway = CloseCode(rawValue: 1001)
  package static let protocolError = CloseCode(rawValue: 1002)
  package static let unsupportedData = CloseCode(rawValue: 1003)
  package static let invalidData = CloseCode(rawValue: 1007)
  package static let policyViolation = CloseCode(rawValue: 1008)
  package static let messageTooBig = CloseCode(rawValue: 1009)
  package static let internalError = CloseCode(rawValue: 1011)
  package static let serviceRestart = CloseCode(rawValue: 1012)
  package static let tryAgainLater = CloseCode(rawValue: 1013)
  package static let badGateway = CloseCode(rawValue: 1014)

  /// Whether a close frame may carry it: 1004, 1005, 1006 and 1015 only stand for what happened without one.
  package var isValidOnWire: Bool {
    switch rawValue {
    case 1000...1003, 1007...1014, 3000...4999: true
    default: false
    }
  }
}

/// A close that the gateway itself starts: its code, its text, and what a client should do.
package enum CloseReason: Sendable, Equatable {
  /// The process is being stopped; the code is `shutdown.code`.
  case restart(code: CloseCode)
  /// The client reads more slowly than it is sent to, and its queue is full.
  case slowReader
  /// The client did not answer a ping.
  case pingTimeout
  /// The upstream of a `proxy` route went away without a close frame, or broke the protocol.
  case upstreamLost

  package var code: CloseCode {
    switch self {
    case .restart(let code): code
    case .slowReader: .tryAgainLater
    case .pingTimeout: .goingAway
    case .upstreamLost: .badGateway
    }
  }

  /// At most 123 bytes, as a control frame holds 125.
  package var text: String {
    switch self {
    case .restart: "restarting, please reconnect"
    case .slowReader: "too slow, messages were lost"
    case .pingTimeout: "no answer to a ping"
    case .upstreamLost: "the server behind this one is gone"
    }
  }

  /// Whether trying again makes sense.
  package var isWorthReconnecting: Bool {
    switch self {
    case .restart, .slowReader, .pingTimeout, .upstreamLost: true
    }
  }
}
