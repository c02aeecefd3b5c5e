import Glibc
import NIOCore
import NIOPosix
import Transport

/// Why no connection to a server could be made, where it is one of the reasons that an operator can do something about.
package enum Unreached: Equatable, Sendable {
  /// Nothing listens at the address.
  case refused
  /// The path of a Unix socket leads to nothing.
  case noFile
  /// This process may not use the Unix socket, or a rule of the system forbids the connection.
  case forbidden
  /// No way leads to the address.
  case noRoute
  /// Nobody has answered in time.
  case silent
  /// The name has no address.
  case unknownName(String)

  /// - Returns: nil for other errors, also for those of a connection that was made.
  package init?(_ error: any Error) {
    switch error {
    case let failure as NIOConnectionError:
      guard let single = failure.connectionErrors.first else {
        self = .unknownName(failure.host)
        return
      }
      self.init(single.error)
    case let failure as IOError: self.init(code: failure.errnoCode)
    case TransportFailure.cannotConnect(let code): self.init(code: code)
    case ChannelError.connectTimeout: self = .silent
    default: return nil
    }
  }

  /// - Parameter code: `errno`.
  package init?(code: Int32) {
    switch code {
    case ECONNREFUSED: self = .refused
    case ENOENT, ENOTDIR: self = .noFile
    case EACCES, EPERM: self = .forbidden
    case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN: self = .noRoute
    case ETIMEDOUT: self = .silent
    default: return nil
    }
  }
}
