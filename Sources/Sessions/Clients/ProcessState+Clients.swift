import GatewayConfig
package import Transport
package import WebSocketCore

extension ProcessState {
  /// A place of `limits.per_ip` for one more connection; nil if it is not counted. A trusted proxy may have any number.
  ///
  /// - Parameters:
  ///   - isHandshake: whether the connection also counts as a handshake.
  ///   - isClient: whether a PROXY protocol header has named the peer as the client of a proxy. It is counted even if its
  ///     address is among the trusted proxies.
  package func place(
    for peer: PeerAddress, isHandshake: Bool = true, isClient: Bool = false
  ) -> Result<AddressPlace?, AddressTable.Refusal> {
    guard let addresses, isClient || !server.trustedProxies.contains(peer) else { return .success(nil) }
    return addresses.take(peer, isHandshake: isHandshake)
  }

  /// The client of a request, and whether the address of a client behind a trusted proxy has too many connections.
  ///
  /// - Parameters:
  ///   - fields: the fields of the request, with names in lower case.
  ///   - direct: the client of the connection.
  package func client(
    of fields: some Sequence<HeaderField>, behind direct: Client, isHandshake: Bool
  ) -> (client: Client, refusal: HandshakeRefusal?) {
    guard !direct.isBehindProxyHeader else {
      unbelieved.note(fieldsBehindProxyHeader: fields, from: direct.peer)
      return (direct, nil)
    }
    guard !server.trustedProxies.isEmpty, server.trustedProxies.contains(direct.peer) else {
      unbelieved.note(fields, from: direct.peer)
      return (direct, nil)
    }
    var client = direct.believed(fields, trusting: server.trustedProxies)
    switch place(for: client.peer, isHandshake: isHandshake) {
    case .success(let place):
      client.place = place
      return (client, nil)
    case .failure(let refusal):
      addressRefusals.record(refusal, peer: client.peer)
      return (client, HandshakeRefusal(.addressOverLimit(retryAfter: refusal.retryAfter)))
    }
  }
}
