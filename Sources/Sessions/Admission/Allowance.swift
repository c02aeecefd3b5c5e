import WebSocketCore

/// What a connection may become. Decided when it is accepted, so that in a storm the first ones are served.
package enum Allowance {
  case session
  case onlyHTTP
  case onlyHealth
  /// Its address has too many connections. It is refused with that reason, except for health checks.
  case crowded(AddressTable.Refusal)

  /// Whether it takes one of the places of `limits.connections`.
  var isServed: Bool {
    switch self {
    case .session, .onlyHTTP: true
    case .onlyHealth, .crowded: false
    }
  }

  var mayBeSession: Bool {
    if case .session = self { true } else { false }
  }

  /// The refusal for a connection that is not served.
  var refusal: HandshakeRefusal {
    switch self {
    case .session, .onlyHTTP, .onlyHealth: HandshakeRefusal(.tooManyConnections)
    case .crowded(let refusal): HandshakeRefusal(.addressOverLimit(retryAfter: refusal.retryAfter))
    }
  }
}
