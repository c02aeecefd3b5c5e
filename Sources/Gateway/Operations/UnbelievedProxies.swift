import Bytes
import Logging
import Synchronization
import Transport
import WebSocketCore

/// Logs once that the forwarding fields of a nearby machine were ignored. Most likely it is a proxy that
/// `server.trusted_proxies` lacks.
final class UnbelievedProxies: Sendable {
  private let log: Logger
  private let isTold = Atomic(false)

  init(log: Logger) {
    self.log = log
  }

  /// - Parameter fields: the fields of a request from a peer that is not a trusted proxy.
  func note(_ fields: some Sequence<HeaderField>, from peer: PeerAddress) {
    // Any client on the Internet can send such fields.
    guard !isTold.load(ordering: .relaxed), peer.address?.isPrivate ?? true,
      fields.contains(where: { Client.isForwarding($0.name) }), !isTold.exchange(true, ordering: .relaxed)
    else { return }
    let entry = peer.address.map { "\($0)" } ?? "unix"
    log.notice(
      "the forwarding headers of an untrusted peer were ignored",
      metadata: [
        "peer": "\(peer)",
        "hint": "if this is a proxy of yours, write server: {trusted_proxies: [\"\(entry)\"]}",
      ])
  }
}
