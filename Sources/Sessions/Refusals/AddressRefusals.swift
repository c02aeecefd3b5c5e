import Logging
package import Transport

/// Writes a line for addresses over `limits.per_ip`, but at most a few per second, because a refused client may come thousands
/// of times.
package final class AddressRefusals: Sendable {
  private let log: Logger
  private let pace = SharedLogPace(most: 4)

  init(log: Logger) {
    self.log = log
  }

  package func record(_ refusal: AddressTable.Refusal, peer: PeerAddress) {
    guard let level = Refusal.addressOverLimit.level, let suppressed = pace.next() else { return }
    var metadata: Logger.Metadata = [
      "peer": "\(peer)",
      "hint": "if this is a proxy, name it in server.trusted_proxies; the limit is limits.per_ip",
    ]
    metadata.note(suppressed: suppressed)
    switch refusal.cause {
    case .connections(let count):
      metadata["connections"] = "\(count)"
      log.log(level: level, "an address reached its limit of connections", metadata: metadata)
    case .handshakes:
      log.log(level: level, "an address exceeded its rate of handshakes", metadata: metadata)
    }
  }
}
