import Bytes
import GatewayConfig
import Transport
import WebSocketCore

extension PendingConnection {
  /// Decides, before a byte is read, whether the connection's peer may send a PROXY protocol header. Whoever may not would take
  /// places without being counted by saying nothing.
  ///
  /// With `trusted_proxies`, the connection of any other peer is refused here. Without the list every peer may send a header, and
  /// the peer is counted in `limits.per_ip` until its header is complete. The header mostly arrives with the connection, so the
  /// peer is counted only if it is still missing after the connection's first turn: a load balancer opens many connections at once.
  func judgeProxy() {
    let trusted = worker.served.server.trustedProxies
    if trusted.isEmpty {
      connection?.askForTurn()
    } else if !trusted.contains(client.peer) {
      refuseHeader("the connection is not from one of server.trusted_proxies")
    }
  }

  /// The connection's first turn, if every peer may send a PROXY protocol header.
  func goOn() {
    if !isAnswered { connection?.readNow() }
    guard !isAnswered, isWithoutHeader, allowance.isServed, connection?.isClosed == false else { return }
    switch worker.process.place(for: client.peer, isHandshake: false) {
    case .success(let place): client.place = place
    case .failure(let refusal): refuse(Allowance.crowded(refusal).refusal)
    }
  }

  /// Whether the PROXY protocol header is still expected.
  var isWithoutHeader: Bool {
    if case .none = preface { false } else { true }
  }

  /// Reads the client's address from the PROXY protocol header. The bytes after it are the client's.
  func readProxyHeader(_ bytes: RawSpan) {
    let most = min(bytes.byteCount, ProxyHeader.longestBlock)
    switch ProxyHeader.read([UInt8](copying: bytes.extracting(first: most))) {
    case .incomplete:
      if head.isEmpty { head = [UInt8](copying: bytes) }
    case .malformed(let fault): refuseHeader(fault)
    case .complete(let header):
      head = []
      // From here on the client is counted that the header names, which may be the proxy itself.
      client.place = nil
      proceed(
        after: header, from: client.peer,
        rest: [UInt8](copying: bytes.extracting(droppingFirst: header.length)))
    }
  }

  private func refuseHeader(_ fault: String) {
    refuse(HandshakeRefusal(.badRequest(fault)))
  }

  private func proceed(after header: ProxyHeader, from proxy: PeerAddress, rest: [UInt8]) {
    let peer: PeerAddress =
      switch header.client {
      case .address(let address, let port): .tcp(address, port: port)
      case .unix: .unix
      case nil: proxy
      }
    var client = Client(peer: peer, isSecure: header.isSecure ?? false)
    client.isBehindProxyHeader = true
    if allowance.isServed {
      switch worker.process.place(for: peer, isClient: header.client != nil) {
      case .success(let place): client.place = place
      case .failure(let refusal):
        self.client = client
        return refuse(Allowance.crowded(refusal).refusal)
      }
    }
    guard case .proxyHeaderThenTLS = preface else {
      preface = .none
      self.client = client
      return unsafe readHead(rest.span.bytes)
    }
    goOnInTLS(client, rest)
  }

  /// Hands the connection over to the TLS service. Another `PendingConnection` reads the decrypted bytes.
  private func goOnInTLS(_ client: Client, _ rest: [UInt8]) {
    guard let descriptor = handOver() else { return }
    var client = client
    client.isSecure = true
    worker.owner?.goOnInTLS(descriptor, client, allowance, rest, due: due)
    worker.pendingEnded(self)
  }
}
