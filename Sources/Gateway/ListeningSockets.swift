package import GatewayConfig
import Transport

/// An address as it was bound, with the port that the system chose for port 0.
package struct BoundAddress: Sendable, Hashable {
  package var address: BindAddress
  package var isSecure = false

  /// The URL that an operator opens in a browser: `https://127.0.0.1:8443`, or `unix:PATH`.
  package var url: String {
    switch address {
    case .tcp: "\(isSecure ? "https" : "http")://\(address)"
    case .unix: isSecure ? "\(address) (TLS)" : "\(address)"
    }
  }
}

/// The sockets that the gateway listens on: each TCP address once for each worker, so that the kernel spreads the connections.
struct ListeningSockets {
  private(set) var addresses: [BoundAddress] = []
  /// By worker. The receiver owns them.
  private(set) var listeners: [[ListeningSocket]]
  /// With the modes that the configuration gives.
  private var files: [(file: SocketFile, asked: UInt32?)] = []

  static func open(_ wanted: [ServerConfiguration.Listener], for workers: Int) throws -> ListeningSockets {
    var sockets = ListeningSockets(listeners: Array(repeating: [], count: workers))
    for listener in wanted {
      do {
        try sockets.open(listener, onlyV6: listener.address.leavesV4(to: wanted.map(\.address)))
      } catch {
        sockets.remove()
        throw GatewayServer.StartFailure(description: "cannot listen on \(listener.address): \(error)")
      }
    }
    return sockets
  }

  private mutating func open(_ wanted: ServerConfiguration.Listener, onlyV6: Bool) throws(TransportFailure) {
    switch wanted.address {
    case .tcp(let host, let port):
      // Several listeners share a port, which any other process of this user could share as well. So one that does not share is
      // tried first, and closed at once: that fails if a process listens there already.
      if port != 0 {
        _ = try Listener.tcp(host: host, port: port, reusePort: false, onlyV6: onlyV6, backlog: 1)
      }
      let isShared = listeners.count > 1
      let first = try Listener.tcp(host: host, port: port, reusePort: isShared, onlyV6: onlyV6)
      let bound = first.address
      add(first.take(), wanted, to: 0)
      guard case .tcp(_, let realPort) = bound else { return }
      for index in listeners.indices.dropFirst() {
        let next = try Listener.tcp(host: host, port: realPort, reusePort: true, onlyV6: onlyV6)
        add(next.take(), wanted, to: index)
      }
      addresses.append(BoundAddress(address: .tcp(host: host, port: realPort), isSecure: wanted.isSecure))
    case .unix(let path):
      let first = try Listener.unix(path: path, mode: wanted.options.mode, group: wanted.options.group)
      for index in listeners.indices.dropFirst() {
        add(try first.duplicate().take(), wanted, to: index)
      }
      add(first.take(), wanted, to: 0)
      if let file = SocketFile(path: path) { files.append((file, wanted.options.mode)) }
      addresses.append(BoundAddress(address: wanted.address, isSecure: wanted.isSecure))
    }
  }

  private mutating func add(_ descriptor: Int32, _ wanted: ServerConfiguration.Listener, to worker: Int) {
    listeners[worker].append(
      ListeningSocket(
        descriptor: descriptor, isSecure: wanted.isSecure, hasProxyHeader: wanted.options.proxyProtocol))
  }

  /// Socket files that only processes of this user can connect to, although the configuration does not ask for that.
  var privateFiles: [SocketFile] {
    files.filter { $0.asked == nil }.map(\.file).filter { $0.mode.map { $0 & 0o022 == 0 } ?? false }
  }

  /// Removes the socket files, so that no client connects without being answered.
  func remove() {
    for (file, _) in files { file.remove() }
  }
}

/// A listening descriptor, and the protocol there.
struct ListeningSocket: Sendable {
  var descriptor: Int32
  var isSecure: Bool
  /// Whether connections begin with a header of the PROXY protocol.
  var hasProxyHeader: Bool
}
