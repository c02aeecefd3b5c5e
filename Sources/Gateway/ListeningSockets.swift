package import GatewayConfig
import Transport

/// An address as it was bound: with the port that the system chose where 0 was asked for.
package struct BoundAddress: Sendable, Hashable {
  package var address: BindAddress

  /// What an operator opens in a browser: `http://127.0.0.1:8000`, or `unix:PATH`.
  package var url: String {
    switch address {
    case .tcp: "http://\(address)"
    case .unix: "\(address)"
    }
  }
}

/// The sockets the gateway listens on: each TCP address once for each worker, so that the kernel spreads the connections.
struct ListeningSockets {
  private(set) var addresses: [BoundAddress] = []
  /// By worker; whoever is handed them owns them.
  private(set) var descriptors: [[Int32]]
  private var files: [SocketFile] = []

  /// Connections that may wait to be accepted; the kernel cuts it at `net.core.somaxconn`.
  private static let backlog = 4096

  static func open(_ binds: [BindAddress], for workers: Int) throws -> ListeningSockets {
    var sockets = ListeningSockets(descriptors: Array(repeating: [], count: workers))
    for bind in binds {
      do {
        try sockets.open(bind)
      } catch {
        sockets.remove()
        throw GatewayServer.StartFailure(description: "cannot listen on \(bind): \(error)")
      }
    }
    return sockets
  }

  private mutating func open(_ bind: BindAddress) throws(TransportFailure) {
    switch bind {
    case .tcp(let host, let port):
      // Several listeners share a port, and with them any other process of this user could.
      if port != 0 { try Listener.checkIsFree(host: host, port: port) }
      let first = try Listener.tcp(
        host: host, port: port, reusePort: descriptors.count > 1, backlog: Self.backlog)
      let bound = first.address
      descriptors[0].append(first.take())
      guard case .tcp(_, let realPort) = bound else { return }
      for index in descriptors.indices.dropFirst() {
        let next = try Listener.tcp(host: host, port: realPort, reusePort: true, backlog: Self.backlog)
        descriptors[index].append(next.take())
      }
      addresses.append(BoundAddress(address: .tcp(host: host, port: realPort)))
    case .unix(let path):
      let first = try Listener.unix(path: path)
      for index in descriptors.indices.dropFirst() {
        descriptors[index].append(try first.duplicate().take())
      }
      descriptors[0].append(first.take())
      if let file = SocketFile(path: path) { files.append(file) }
      addresses.append(BoundAddress(address: bind))
    }
  }

  /// Takes the socket files away, so that nobody connects who would not be answered.
  func remove() {
    for file in files { file.remove() }
  }
}
