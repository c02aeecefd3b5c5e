import GatewayConfig
import Logging
package import Transport
package import WebSocketCore

extension ProcessState {
  /// A place of `limits.per_ip` for one more connection; nil if it is not counted. A trusted proxy may have any number. The log tells
  /// of a refusal.
  ///
  /// - Parameters:
  ///   - isHandshake: whether the connection also counts as a handshake.
  ///   - isClient: whether a PROXY protocol header has named the peer as the client of a proxy. It is counted even if its
  ///     address is among the trusted proxies.
  package func place(
    for peer: PeerAddress, isHandshake: Bool = true, isClient: Bool = false
  ) -> Result<AddressPlace?, AddressTable.Refusal> {
    guard let addresses, isClient || !served.server.trustedProxies.contains(peer) else {
      return .success(nil)
    }
    let place = addresses.take(peer, isHandshake: isHandshake)
    if case .failure(let refusal) = place { tell(of: refusal, peer: peer) }
    return place
  }

  /// Writes a line about an address over `limits.per_ip`.
  private func tell(of refusal: AddressTable.Refusal, peer: PeerAddress) {
    guard let level = Refusal.addressOverLimit.level else { return }
    let (event, connections): (Logger.Message, Logger.MetadataValue?) =
      switch refusal.cause {
      case .connections(let count): ("an address reached its limit of connections", "\(count)")
      case .handshakes: ("an address exceeded its rate of handshakes", nil)
      }
    log.log(
      event, at: level, paced: addressPace,
      [
        "peer": "\(peer)", "connections": connections,
        "hint": "if this is a proxy, name it in server.trusted_proxies; the limit is limits.per_ip",
      ])
  }

  /// The client of a request, and whether the address of a client behind a trusted proxy has too many connections.
  ///
  /// - Parameters:
  ///   - fields: the fields of the request, with names in lower case.
  ///   - direct: the client of the connection.
  ///   - isHandshake: whether the request also counts as a handshake.
  ///   - isCounted: whether the client takes a place; false for one that is refused in any case.
  package func client(
    of fields: [HeaderField], behind direct: Client, isHandshake: Bool, isCounted: Bool = true
  ) -> (client: Client, refusal: HandshakeRefusal?) {
    guard !direct.isBehindProxyHeader else {
      unbelieved.note(fieldsBehindProxyHeader: fields, from: direct.peer)
      return (direct, nil)
    }
    let proxies = served.server.trustedProxies
    guard !proxies.isEmpty, proxies.contains(direct.peer) else {
      unbelieved.note(fields, from: direct.peer)
      return (direct, nil)
    }
    var client = direct.believed(fields, trusting: proxies)
    guard isCounted else { return (client, nil) }
    switch place(for: client.peer, isHandshake: isHandshake) {
    case .success(let place):
      client.place = place
      return (client, nil)
    case .failure(let refusal):
      return (client, HandshakeRefusal(.addressOverLimit(retryAfter: refusal.retryAfter)))
    }
  }
}
