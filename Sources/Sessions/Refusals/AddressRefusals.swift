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
    guard let level = Refusal.addressOverLimit.level else { return }
    let (event, connections): (Logger.Message, Logger.MetadataValue?) =
      switch refusal.cause {
      case .connections(let count): ("an address reached its limit of connections", "\(count)")
      case .handshakes: ("an address exceeded its rate of handshakes", nil)
      }
    log.log(
      event, at: level, paced: pace,
      [
        "peer": "\(peer)", "connections": connections,
        "hint": "if this is a proxy, name it in server.trusted_proxies; the limit is limits.per_ip",
      ])
  }
}
