import NIOCore
import NIOPosix
import Transport

/// Describes in a few words, for the operator, why a connection failed or broke.
package enum NetworkFault {
  /// - Returns: nil if the error is not a network error.
  package static func words(for error: any Error) -> String? {
    switch error {
    case let failure as NIOConnectionError:
      guard let single = failure.connectionErrors.first else {
        return "the name \"\(failure.host)\" cannot be resolved"
      }
      return words(for: single.error) ?? "\(single.error)"
    case let failure as IOError: return TransportFailure.text(failure.errnoCode)
    case ChannelError.connectTimeout: return "no answer in time"
    default: return nil
    }
  }
}
