import Glibc

/// Identifies the file of a bound Unix socket, so that a file of the same name that another process bound later is not taken
/// for it.
public struct SocketFile: Sendable, Hashable {
  public let path: String
  private let device: UInt
  private let inode: UInt

  /// Nil if there is no such file.
  public init?(path: String) {
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else { return nil }
    self.path = path
    device = UInt(status.st_dev)
    inode = UInt(status.st_ino)
  }

  /// The permissions of the file, if it is there.
  public var mode: UInt32? {
    var status = stat()
    return unsafe lstat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
  }

  /// Removes the file, unless another file has taken its place.
  public func remove() {
    guard SocketFile(path: path) == self else { return }
    // It does not matter if the file has just been removed.
    _ = unsafe unlink(path)
  }
}
