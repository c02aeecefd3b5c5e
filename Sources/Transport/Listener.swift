import CLinux
import Glibc

/// A listening socket.
public struct Listener: ~Copyable {
  /// The most connections that wait to be accepted; the kernel limits it to `net.core.somaxconn`.
  public static let backlog = 4096

  private var descriptor: Descriptor

  /// Binds and listens on the first address that `host` names.
  ///
  /// - Parameter reusePort: lets several listeners of this process share the port (`SO_REUSEPORT`); the kernel then
  ///   spreads the connections over them.
  /// - Parameter onlyV6: leaves IPv4 to another listener on the same port, where the address is an IPv6 one.
  public static func tcp(
    host: String, port: Int, reusePort: Bool, onlyV6: Bool = false, backlog: Int = Listener.backlog
  ) throws(TransportFailure) -> Listener {
    try listen(
      on: bound(host: host, port: port, reusePort: reusePort, onlyV6: onlyV6), backlog: backlog)
  }

  /// A socket that has the address, and does not listen yet.
  static func bound(
    host: String, port: Int, reusePort: Bool, onlyV6: Bool
  ) throws(TransportFailure) -> Descriptor {
    guard let (family, address) = try SocketCall.resolve(host: host, port: port, flags: AI_PASSIVE).first
    else { throw .cannotResolve("unknown host") }
    let descriptor = try SocketCall.open(family)
    try set(SO_REUSEADDR, on: descriptor)
    if reusePort { try set(SO_REUSEPORT, on: descriptor) }
    if onlyV6, family == AF_INET6 { try set(IPV6_V6ONLY, at: Int32(IPPROTO_IPV6), on: descriptor) }
    try bind(descriptor, to: address)
    return descriptor
  }

  /// Binds a Unix socket. A socket file on which no process listens any more is replaced.
  ///
  /// - Parameters:
  ///   - mode: the permissions of the socket file; nil for 0777 without the bits of the process's umask. A user who may write to
  ///     the file may connect.
  ///   - group: the group of the file, by name or number; nil for the group of the process.
  public static func unix(
    path: String, mode: UInt32? = nil, group: String? = nil
  ) throws(TransportFailure) -> Listener {
    guard SocketAddress.unixPathLengths.contains(path.utf8.count), !path.utf8.contains(0) else {
      throw .unusablePath
    }
    let address = SocketAddress(unixPath: path)
    // Another process may have removed it in the meantime; then there is nothing to do.
    if try isStale(path) { _ = unsafe unlink(path) }
    let descriptor = try SocketCall.open(AF_UNIX)
    do throws(TransportFailure) {
      try bind(descriptor, to: address)
    } catch {
      throw error == .permissionDenied ? .closedFolder : error
    }
    do throws(TransportFailure) {
      try setAccess(of: path, mode, group)
    } catch {
      SocketFile(path: path)?.remove()
      throw error
    }
    return try listen(on: descriptor, backlog: Self.backlog)
  }

  /// Takes over a descriptor that is listening already.
  public static func adopting(_ descriptor: Int32) -> Listener {
    Listener(descriptor: Descriptor(adopting: descriptor))
  }

  public var rawValue: Int32 { descriptor.rawValue }

  /// The address of the listener, with the port that the system chose for port 0.
  public var address: Endpoint { Self.address(of: rawValue) ?? .unix(path: "") }

  /// - Returns: nil for what is no socket.
  public static func address(of raw: Int32) -> Endpoint? {
    unsafe SocketAddress { unsafe getsockname(raw, $0, $1) }?.endpoint
  }

  /// A second descriptor for the same queue of connections.
  public func duplicate() throws(TransportFailure) -> Listener {
    Listener(descriptor: try Descriptor.duplicate(of: rawValue))
  }

  public consuming func take() -> Int32 {
    descriptor.take()
  }

  // MARK: - System calls

  private static func bind(
    _ descriptor: borrowing Descriptor, to address: SocketAddress
  ) throws(TransportFailure) {
    let raw = descriptor.rawValue
    guard unsafe address.pass(to: { unsafe Glibc.bind(raw, $0, $1) }) == 0 else {
      throw TransportFailure("bind", errno)
    }
  }

  private static func set(
    _ option: Int32, at level: Int32 = SOL_SOCKET, on descriptor: borrowing Descriptor
  ) throws(TransportFailure) {
    guard SocketCall.set(option, at: level, on: descriptor.rawValue) else {
      throw TransportFailure("set a socket option", errno)
    }
  }

  private static func listen(
    on descriptor: consuming Descriptor, backlog: Int
  ) throws(TransportFailure) -> Listener {
    UnsentBound.set(on: descriptor.rawValue)
    guard Glibc.listen(descriptor.rawValue, Int32(clamping: backlog)) == 0 else {
      throw TransportFailure("listen", errno)
    }
    return Listener(descriptor: descriptor)
  }

  /// Sets the permissions of a socket file, and its group. A new one gets them before the socket listens, so that no other user can connect
  /// before.
  public static func setAccess(of path: String, _ mode: UInt32?, _ group: String?) throws(TransportFailure) {
    if let group {
      let number = try number(of: group)
      guard unsafe chown(path, .max, number) == 0 else { throw .cannotGiveSocket(group: group, errno) }
    }
    if let mode, unsafe chmod(path, mode) != 0 {
      throw .system("set the mode of the socket file", errno)
    }
  }

  static func number(of group: String) throws(TransportFailure) -> gid_t {
    if let found = unsafe getgrnam(group) { return unsafe found.pointee.gr_gid }
    guard let number = gid_t(group), number < .max else { throw .unknownGroup(group) }
    return number
  }

  /// Whether a path leads to a socket on which no process listens any more.
  ///
  /// - Throws: for a path that is not free.
  static func isStale(_ path: String) throws(TransportFailure) -> Bool {
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else { return false }
    guard status.st_mode & S_IFMT == S_IFSOCK else { throw .notASocket }
    let probe = try SocketCall.open(AF_UNIX)
    let address = SocketAddress(unixPath: path)
    let connected = unsafe address.pass(to: { unsafe connect(probe.rawValue, $0, $1) })
    switch connected == 0 ? 0 : errno {
    case 0, EAGAIN: throw .addressInUse
    case ECONNREFUSED: return true
    // Its owner has just removed it.
    case ENOENT: return false
    // It is not certain that the socket is unused, so the file stays.
    case let code: throw .system("find out whether another process listens on the socket file", code)
    }
  }
}
