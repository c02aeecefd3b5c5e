package import Glibc

/// What the system says of a file.
///
/// It stands here because this target loads nothing of Foundation: where that is loaded first, the compiler takes the fields of `stat` for
/// Foundation's.
package struct FileStatus: Sendable {
  package enum Kind: Sendable {
    case regular, folder, other
  }

  /// A time since 1970.
  package struct Time: Sendable, Hashable {
    package let seconds: Int
    package let nanoseconds: Int
  }

  package let kind: Kind
  /// Bytes.
  package let size: Int
  package let device: UInt64
  package let inode: UInt64
  /// When the content was changed.
  package let modified: Time
  /// When the inode was changed.
  package let changed: Time

  package init(_ status: stat) {
    kind =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .regular
      case S_IFDIR: .folder
      default: .other
      }
    size = Int(status.st_size)
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    modified = Time(seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
    changed = Time(seconds: status.st_ctim.tv_sec, nanoseconds: status.st_ctim.tv_nsec)
  }

  /// - Returns: nil where the system does not say it.
  package init?(of descriptor: Int32) {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { return nil }
    self.init(status)
  }

  /// - Parameter path: links are followed.
  /// - Returns: nil where the system does not say it.
  package init?(of path: String) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    self.init(status)
  }
}
