import Glibc

/// The file of a Unix socket as it was bound, so that it is told from one of the same name that another process bound later.
public struct SocketFile: Sendable, Hashable {
  public let path: String
  private let device: UInt
  private let inode: UInt

  /// Nil where there is no such file.
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

  /// Takes the file away, unless it is another one by now.
  public func remove() {
    guard SocketFile(path: path) == self else { return }
    // Gone in this moment is as good.
    _ = unsafe unlink(path)
  }
}
