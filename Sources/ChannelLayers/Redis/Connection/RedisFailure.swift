/// Why Redis did not do what it was asked; one sentence for a log, without secrets.
package enum RedisFailure: Error, Sendable, Hashable {
  case cannotConnect(String)
  /// The connection ended, or was never there.
  case disconnected
  /// No answer in time.
  case timeout
  /// What arrived is not Redis's protocol.
  case malformed(String)
  /// Redis answered with an error.
  case refused(String)
  case unexpectedReply(to: String)
}

extension RedisFailure: CustomStringConvertible {
  package var description: String {
    switch self {
    case .cannotConnect(let reason): "cannot connect: \(reason)"
    case .disconnected: "the connection ended"
    case .timeout: "no answer in time"
    case .malformed(let fault): "this is not Redis's protocol: \(fault)"
    case .refused(let message): message
    case .unexpectedReply(let command): "an unexpected reply to \(command)"
    }
  }
}
