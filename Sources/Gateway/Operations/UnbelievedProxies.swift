import Bytes
import Logging
import Synchronization
import Transport
import WebSocketCore

/// Says once that a machine nearby speaks for a client and is not believed: most likely a proxy that `server.trusted_proxies` lacks.
final class UnbelievedProxies: Sendable {
  private let log: Logger
  private let isTold = Atomic(false)

  init(log: Logger) {
    self.log = log
  }

  /// - Parameter fields: of a request whose peer is no trusted proxy.
  func note(_ fields: some Sequence<HeaderField>, from peer: PeerAddress) {
    // Anybody on the Internet can send such fields.
    guard !isTold.load(ordering: .relaxed), peer.address?.isPrivate ?? true,
      fields.contains(where: { Client.isForwarding($0.name) }), !isTold.exchange(true, ordering: .relaxed)
    else { return }
    let entry = peer.address.map { "\($0)" } ?? "unix"
    log.notice(
      "what a peer says of its client was not believed",
      metadata: [
        "peer": "\(peer)",
        "hint": "if this is a proxy of yours, write server: {trusted_proxies: [\"\(entry)\"]}",
      ])
  }
}
