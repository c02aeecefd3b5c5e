/// Why a request to Redis failed; one sentence for a log, without secrets.
package enum RedisFailure: Error, Sendable, Hashable {
  case cannotConnect(String)
  /// The connection had ended before, so nothing was sent.
  case notConnected
  /// The connection ended before the reply arrived.
  case disconnected
  /// There was no reply in time.
  case timeout
  /// The bytes are not valid in the Redis protocol.
  case malformed(String)
  /// Redis answered with an error.
  case refused(RedisRefusal)
  case unexpectedReply(to: String)

  /// Whether Redis may have carried out the request nevertheless.
  package var isUncertain: Bool {
    switch self {
    case .cannotConnect, .notConnected, .refused: false
    case .disconnected, .timeout, .malformed, .unexpectedReply: true
    }
  }
}

extension RedisFailure: CustomStringConvertible {
  package var description: String {
    switch self {
    case .cannotConnect(let reason): "cannot connect: \(reason)"
    case .notConnected, .disconnected: "the connection ended"
    case .timeout: "no answer in time"
    case .malformed(let fault): "the server does not speak the Redis protocol: \(fault)"
    case .refused(let refusal): refusal.description
    case .unexpectedReply(let command): "an unexpected reply to \(command)"
    }
  }
}
