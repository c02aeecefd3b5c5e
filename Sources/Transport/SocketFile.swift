import Glibc

/// Identifies the file of a bound Unix socket, so that a file of the same name that another process bound later is not taken
/// for it.
public struct SocketFile: Sendable, Hashable {
  public let path: String
  let device: UInt
  let inode: UInt

  init(path: String, device: UInt, inode: UInt) {
    (self.path, self.device, self.inode) = (path, device, inode)
  }

  /// Nil if there is no such file.
  public init?(path: String) {
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else { return nil }
    self.path = path
    device = UInt(status.st_dev)
    inode = UInt(status.st_ino)
  }

  /// Whether both are names of one file.
  public func isSameFile(as other: SocketFile) -> Bool {
    (other.device, other.inode) == (device, inode)
  }

  /// Whose file a path leads to, also through links; nil where there is none.
  public static func owner(of path: String) -> UInt32? {
    var status = stat()
    return unsafe stat(path, &status) == 0 ? status.st_uid : nil
  }

  /// The permissions of the file, if it is there.
  public var mode: UInt32? {
    var status = stat()
    return unsafe lstat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
  }

  /// Who may connect to a socket file.
  public struct Access: Sendable, Hashable {
    public var mode: UInt32
    /// Its number.
    public var group: UInt32
  }

  /// Nil where another file has taken its place.
  public var access: Access? {
    var status = stat()
    guard unsafe lstat(path, &status) == 0, status.st_ino == inode, status.st_dev == device else {
      return nil
    }
    return Access(mode: status.st_mode & 0o7777, group: status.st_gid)
  }

  /// Whether the file is gone, so that nobody finds the socket. A file that somebody else has put there is left alone.
  public var isGone: Bool {
    access == nil && [.nobody, .left].contains(SocketOccupant(at: path))
  }

  /// Who could connect if the file were made anew, without a mode and a group: as the folder and the umask of the process have it.
  public func freshAccess() throws(TransportFailure) -> Access {
    let file = try FreshFile(beside: path)
    return try file.access
  }

  /// Gives the file its access of before.
  public func restore(_ access: Access) {
    guard SocketFile(path: path) == self else { return }
    // Whoever could change it can change it back.
    _ = unsafe chown(path, .max, access.group)
    _ = unsafe chmod(path, access.mode)
  }

  /// Removes the file, unless another file has taken its place.
  public func remove() {
    guard SocketFile(path: path) == self else { return }
    // It does not matter if the file has just been removed.
    _ = unsafe unlink(path)
  }
}
