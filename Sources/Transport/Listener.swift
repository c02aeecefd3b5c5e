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
    guard let (family, address) = try SocketCall.resolve(host: host, port: port, flags: AI_PASSIVE).first
    else { throw .cannotResolve("unknown host") }
    let descriptor = try SocketCall.open(family)
    try set(SO_REUSEADDR, on: descriptor)
    if reusePort { try set(SO_REUSEPORT, on: descriptor) }
    if onlyV6, family == AF_INET6 { try set(IPV6_V6ONLY, at: Int32(IPPROTO_IPV6), on: descriptor) }
    try bind(descriptor, to: address)
    return try listen(on: descriptor, backlog: backlog)
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
    try removeStaleSocket(at: path, address)
    let descriptor = try SocketCall.open(AF_UNIX)
    try bind(descriptor, to: address)
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
  public var address: Endpoint {
    let raw = rawValue
    return unsafe SocketAddress { unsafe getsockname(raw, $0, $1) }?.endpoint ?? .unix(path: "")
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

  /// Must be called before the socket listens, so that no other user can connect before.
  private static func setAccess(of path: String, _ mode: UInt32?, _ group: String?) throws(TransportFailure) {
    if let group {
      let number = try number(of: group)
      guard unsafe chown(path, .max, number) == 0 else { throw .cannotGiveSocket(group: group, errno) }
    }
    if let mode, unsafe chmod(path, mode) != 0 {
      throw TransportFailure("set the mode of the socket file", errno)
    }
  }

  private static func number(of group: String) throws(TransportFailure) -> gid_t {
    if let found = unsafe getgrnam(group) { return unsafe found.pointee.gr_gid }
    guard let number = gid_t(group), number < .max else { throw .unknownGroup(group) }
    return number
  }

  private static func removeStaleSocket(at path: String, _ address: SocketAddress) throws(TransportFailure) {
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else { throw .notASocket }
    let probe = try SocketCall.open(AF_UNIX)
    let connected = unsafe address.pass(to: { unsafe connect(probe.rawValue, $0, $1) })
    switch connected == 0 ? 0 : errno {
    case 0, EAGAIN: throw .addressInUse
    // Another process may have removed the file in the meantime; then there is nothing to do.
    case ECONNREFUSED: _ = unsafe unlink(path)
    // Its owner has just removed it.
    case ENOENT: return
    // It is not certain that the socket is unused, so the file stays.
    case let code: throw TransportFailure("find out whether another process listens on the socket file", code)
    }
  }
}
