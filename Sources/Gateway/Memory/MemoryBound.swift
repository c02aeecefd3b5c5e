import GatewayConfig
import Logging
import Synchronization
import Transport

/// One of the process's bounds on memory, and what is told when it is reached.
final class MemoryBound: Sendable {
  enum Use {
    /// `limits.send_memory`: what waits to be sent.
    case sending
    /// `limits.receive_memory`: messages that have begun to come.
    case receiving

    var key: String {
      switch self {
      case .sending: "limits.send_memory"
      case .receiving: "limits.receive_memory"
      }
    }

    var event: Logger.Message {
      switch self {
      case .sending: "a client that did not read was let go: the memory for what waits to be sent was used up"
      case .receiving:
        "a client with an unfinished message was let go: the memory for unfinished messages was used up"
      }
    }
  }

  /// A process that may have next to nothing serves somebody all the same. Bytes.
  private static let least = 1 << 20

  let budget: MemoryBudget
  /// Who was let go of since the start.
  let evictions = Atomic<Int>(0)
  private let use: Use
  private let log: Logger
  private let pace = SharedLogPace(most: 1)

  /// - Parameter written: what the file says.
  init(_ written: ByteCount?, otherwise bytes: Int, _ use: Use, log: Logger) {
    budget = MemoryBudget(total: written?.bytes ?? max(Self.least, bytes))
    self.use = use
    self.log = log
  }

  func countEviction(route: String) {
    evictions.up()
    guard let suppressed = pace.next() else { return }
    var facts: Logger.Metadata = [
      "key": "\(use.key)", "bytes": "\(budget.total)", "held": "\(budget.used)", "route": "\(route)",
    ]
    if suppressed > 0 { facts["suppressed"] = "\(suppressed)" }
    log.warning(use.event, metadata: facts)
  }
}
