import Glibc

/// Which users may connect to a Unix socket, besides the user who bound it.
public struct SocketAccess: Sendable, Hashable {
  /// The permissions of the socket file; nil for 0777 without the bits of the process's umask. A user who may write to the file
  /// may connect.
  public var mode: UInt32?
  /// The group of the file, by name or number; nil for the group of the process.
  public var group: String?

  public init(mode: UInt32? = nil, group: String? = nil) {
    self.mode = mode
    self.group = group
  }

  /// Sets both on the file. Must be called before the socket listens, so that no other user can connect before.
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
