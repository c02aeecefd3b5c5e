import CLinux
import Glibc

/// The address of a server for clients that connect to it. The name is resolved once.
public struct ServerAddress: Sendable {
  private let address: SocketAddress
  private let family: Int32
  private let isOnLoopback: Bool

  /// The first of the addresses of a name at which a server accepts a connection. Blocks.
  ///
  /// - Parameter timeout: for each of the addresses.
  public static func find(
    host: String, port: Int, timeout: Duration
  ) throws(TransportFailure) -> ServerAddress {
    var failure = TransportFailure.cannotResolve("it has no address")
    for found in try SocketCall.resolve(host: host, port: port) {
      let address = ServerAddress(address: found.address, family: found.family)
      do throws(TransportFailure) {
        try address.probe(timeout)
        return address
      } catch {
        failure = error
      }
    }
    throw failure
  }

  private init(address: SocketAddress, family: Int32) {
    self.address = address
    self.family = family
    isOnLoopback =
      switch address.endpoint {
      case .tcp(let host, _): host.hasPrefix("127.") || host == "::1"
      case .unix: false
      }
  }

  /// - Parameter host: an address of IPv4 or IPv6.
  /// - Returns: nil for a name, which has to be resolved.
  public init?(numeric host: String, port: Int) {
    guard let found = try? SocketCall.resolve(host: host, port: port, flags: AI_NUMERICHOST).first else {
      return nil
    }
    self.init(address: found.address, family: found.family)
  }

  /// - Returns: nil for a path that no socket can have.
  public init?(unixPath path: String) {
    guard SocketAddress.unixPathLengths.contains(path.utf8.count), !path.utf8.contains(0) else { return nil }
    self.init(address: SocketAddress(unixPath: path), family: AF_UNIX)
  }

  /// The address of the server that a socket is connected to; nil where it is not, or not by IP.
  public init?(serverOf descriptor: Int32) {
    // The pointers are those that `SocketAddress` lends for the call: the system writes the address before it returns, and keeps none.
    guard let address = unsafe SocketAddress({ unsafe getpeername(descriptor, $0, $1) }) else { return nil }
    guard case .tcp = address.peer else { return nil }
    self.init(address: address, family: address.family)
  }

  /// Starts a connection without waiting for it. A reactor can adopt the descriptor at once: written bytes are sent when the
  /// connection is established, and a failure ends it.
  ///
  /// - Parameter source: offset of the source address from 127.0.0.1, if the server is on the IPv4 loopback. For other
  ///   servers the system chooses the source address.
  public func dial(from source: Int = 0) throws(TransportFailure) -> Descriptor {
    var isConnected = false
    return try dial(from: source, isConnected: &isConnected)
  }

  /// - Parameter isConnected: whether the connection is established already, as on the same machine.
  func dial(from source: Int = 0, isConnected: inout Bool) throws(TransportFailure) -> Descriptor {
    let descriptor = try SocketCall.open(family)
    let raw = descriptor.rawValue
    if family != AF_UNIX { SocketCall.set(TCP_NODELAY, at: Int32(IPPROTO_TCP), on: raw) }
    if source > 0, isOnLoopback, family == AF_INET { try bind(raw, toLoopback: source) }
    let status = unsafe address.pass(to: { unsafe connect(raw, $0, $1) })
    // After an interruption the connection attempt continues by itself.
    guard status == 0 || errno == EINPROGRESS || errno == EINTR else { throw .cannotConnect(errno) }
    // On the loopback the server's part is done before `connect` returns, whatever it says of a socket that does not wait. To ask costs
    // less than to be told.
    isConnected = status == 0 || isOnLoopback && PeerAddress(ofSocket: raw) != nil
    return descriptor
  }

  private func bind(_ raw: Int32, toLoopback source: Int) throws(TransportFailure) {
    // The port is chosen during the connect, so that it may be in use for connections to other servers.
    SocketCall.set(IP_BIND_ADDRESS_NO_PORT, at: Int32(IPPROTO_IP), on: raw)
    var local = sockaddr_in()
    local.sin_family = sa_family_t(AF_INET)
    local.sin_addr.s_addr = (INADDR_LOOPBACK + UInt32(clamping: source)).bigEndian
    let status = unsafe withUnsafePointer(to: &local) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe Glibc.bind(raw, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else { throw .cannotConnect(errno) }
  }

  /// Waits for one connection, and closes it.
  private func probe(_ timeout: Duration) throws(TransportFailure) {
    let descriptor = try dial()
    let ready = SocketCall.poll(descriptor.rawValue, POLLOUT, until: MonotonicTime.now + timeout)
    guard ready != 0 else { throw .cannotConnect(ETIMEDOUT) }
    let code = SocketCall.pendingError(of: descriptor.rawValue)
    guard code == 0 else { throw .cannotConnect(code) }
  }
}
