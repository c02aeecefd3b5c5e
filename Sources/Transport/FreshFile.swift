import Glibc

/// A file that is made for a moment, to find out what the system does with a socket file at the same place.
struct FreshFile: ~Copyable {
  private let path: String
  private let descriptor: Descriptor

  /// - Parameter place: the path of the socket file; nothing needs to be there.
  init(beside place: String) throws(TransportFailure) {
    let folder = place.lastIndex(of: "/").map { place[...$0] } ?? ""
    path = "\(folder).sluice-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    // The mode of a socket file, of which the umask takes some.
    let raw = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o777)
    guard raw >= 0 else {
      throw [EACCES, EPERM].contains(errno) ? .closedFolder : .system("make a file in the folder", errno)
    }
    descriptor = Descriptor(adopting: raw)
  }

  var access: SocketFile.Access {
    get throws(TransportFailure) {
      var status = stat()
      guard unsafe fstat(descriptor.rawValue, &status) == 0 else {
        throw .system("look at a file of the folder", errno)
      }
      return SocketFile.Access(mode: status.st_mode & 0o7777, group: status.st_gid)
    }
  }

  /// - Returns: why it cannot be given to the group: `errno`; 0 where it can.
  func give(to group: gid_t) -> Int32 {
    fchown(descriptor.rawValue, .max, group) == 0 ? 0 : errno
  }

  deinit { _ = unsafe unlink(path) }
}
