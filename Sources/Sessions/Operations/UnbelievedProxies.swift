import Bytes
import Logging
import Synchronization
import Transport
import WebSocketCore

/// Logs once that the forwarding fields of a nearby machine were ignored. Most likely it is a proxy that
/// `server.trusted_proxies` lacks. It also logs once that such fields were ignored behind a PROXY protocol header.
final class UnbelievedProxies: Sendable {
  private let log: Logger
  private let isTold = Atomic(false)
  private let isHeaderTold = Atomic(false)

  init(log: Logger) {
    self.log = log
  }

  /// - Parameter fields: the fields of a request from a peer that is not a trusted proxy.
  func note(_ fields: [HeaderField], from peer: PeerAddress) {
    // Any client on the Internet can send such fields.
    guard !isTold.load(ordering: .relaxed), fields.contains(where: { Client.isForwarding($0.name) }),
      peer.address?.isPrivate ?? true, !isTold.exchange(true, ordering: .relaxed)
    else { return }
    let entry = peer.address.map { "\($0)" } ?? "unix"
    log.notice(
      "the forwarding headers of an untrusted peer were ignored",
      metadata: [
        "peer": "\(peer)",
        "hint": "if this is a proxy of yours, write server: {trusted_proxies: [\"\(entry)\"]}",
      ])
  }

  /// - Parameter fields: the fields of a request on a connection that began with a PROXY protocol header.
  func note(fieldsBehindProxyHeader fields: [HeaderField], from peer: PeerAddress) {
    guard !isHeaderTold.load(ordering: .relaxed), fields.contains(where: { Client.isForwarding($0.name) }),
      !isHeaderTold.exchange(true, ordering: .relaxed)
    else { return }
    log.notice(
      "forwarding headers were ignored on an address with the PROXY protocol",
      metadata: [
        "peer": "\(peer)",
        "hint":
          "there the PROXY header alone describes the client; if your proxy writes X-Forwarded-*, let it connect to an address without proxy_protocol",
      ])
  }
}
