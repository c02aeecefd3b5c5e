import Logging
import Transport

/// Writes a line for clients whose addresses have more than `limits.per_ip` gives them, but never more than a few in a second: who
/// is refused may come thousands of times.
final class AddressRefusals: Sendable {
  private let log: Logger
  private let pace = SharedLogPace(most: 4)

  init(log: Logger) {
    self.log = log
  }

  func record(_ refusal: AddressTable.Refusal, peer: PeerAddress) {
    guard let suppressed = pace.next() else { return }
    var metadata: Logger.Metadata = [
      "peer": "\(peer)",
      "hint": "if this is a proxy, name it in server.trusted_proxies; the limit is limits.per_ip",
    ]
    if suppressed > 0 { metadata["suppressed"] = "\(suppressed)" }
    switch refusal.cause {
    case .connections(let count):
      metadata["connections"] = "\(count)"
      log.warning("an address has as many connections as it may", metadata: metadata)
    case .handshakes:
      log.warning("an address connects more often than it may", metadata: metadata)
    }
  }
}
