import Glibc

/// Who may connect to a Unix socket besides the user who has bound it.
public struct SocketAccess: Sendable, Hashable {
  /// The permissions of its file; nil is what the process's umask leaves of 0777. Whoever may write may connect.
  public var mode: UInt32?
  /// The file's group, by its name or its number; nil is that of the process.
  public var group: String?

  public init(mode: UInt32? = nil, group: String? = nil) {
    self.mode = mode
    self.group = group
  }

  /// Sets both on the file; before anybody listens, so that nobody who should not has connected by then.
  func apply(to path: String) throws(TransportFailure) {
    if let group {
      let number = try Self.number(of: group)
      guard unsafe chown(path, .max, number) == 0 else {
        throw .cannotGiveSocket(group: group, errno)
      }
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
}
