package import GatewayConfig
package import Logging
package import Synchronization
package import Transport

/// One of the process's bounds on memory, and the log line when it is reached.
package final class MemoryBound: Sendable {
  /// Its limit in the file.
  package enum Use: String {
    /// Unsent bytes.
    case sending = "limits.send_memory"
    /// Unfinished messages.
    case receiving = "limits.receive_memory"

    var event: Logger.Message {
      switch self {
      case .sending: "a client that did not read was disconnected: the memory for unsent messages was used up"
      case .receiving:
        "a client with an unfinished message was disconnected: the memory for unfinished messages was used up"
      }
    }
  }

  /// Even a process with very little memory can serve some clients. Bytes.
  private static let least = 1 << 20

  package let budget: MemoryBudget
  /// Clients that were disconnected since the start.
  package let evictions = Atomic<Int>(0)
  private let use: Use
  private let log: Logger
  private let pace = SharedLogPace(most: 1)

  /// - Parameter written: the limit in the file.
  package init(_ written: ByteCount?, otherwise bytes: Int, _ use: Use, log: Logger) {
    budget = MemoryBudget(total: written?.bytes ?? max(Self.least, bytes))
    self.use = use
    self.log = log
  }

  /// - Parameters:
  ///   - route: nil for a connection whose request has not been read.
  ///   - path: of a handshake that is not complete.
  package func countEviction(route: String?, path: String? = nil) {
    evictions.up()
    log.log(
      use.event, at: .warning, paced: pace,
      [
        "key": "\(use.rawValue)", "bytes": "\(budget.total)", "held": "\(budget.used)",
        "route": route.map { "\($0)" }, "path": path.map { "\($0)" },
      ])
  }
}
