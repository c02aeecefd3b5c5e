import CLinux
import Glibc

/// Who is at the other end of a Unix socket, as the system vouches for it: `SO_PEERCRED` of unix(7).
public struct PeerCredentials: Sendable, Hashable {
  /// As this process sees it: 0 for a process of another namespace.
  public var process: Int32
  public var user: UInt32

  public init(process: Int32, user: UInt32) {
    self.process = process
    self.user = user
  }

  /// The process that has connected, at the time when it did; of a connection that was made from here, the one that listens.
  ///
  /// - Returns: nil for what is no connected Unix socket.
  public init?(ofSocket raw: Int32) {
    // The structure is process, user and group; the header has it only for programs that define _GNU_SOURCE.
    var found: (process: Int32, user: UInt32, group: UInt32) = (0, .max, .max)
    var size = socklen_t(MemoryLayout.size(ofValue: found))
    guard unsafe getsockopt(raw, SOL_SOCKET, SO_PEERCRED, &found, &size) == 0, found.user != .max else {
      return nil
    }
    self.init(process: found.process, user: found.user)
  }
}

/// What is at the path of a Unix socket.
public enum SocketOccupant: Sendable, Hashable {
  case nobody
  /// A socket, or a link to one, on which no process listens any more.
  case left
  /// A process listens there. Nil where the system does not say which.
  case listener(PeerCredentials?)
  /// A file that is neither, or one that cannot be looked at; `errno`, or 0.
  case unknown(Int32)

  /// Connects for a moment to find out. It never waits.
  public init(at path: String) {
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else {
      self = errno == ENOENT ? .nobody : .unknown(errno)
      return
    }
    guard [S_IFSOCK, S_IFLNK].contains(status.st_mode & S_IFMT) else {
      self = .unknown(0)
      return
    }
    guard let address = ServerAddress(unixPath: path) else {
      self = .unknown(ENAMETOOLONG)
      return
    }
    do {
      let probe = try address.dial()
      self = .listener(PeerCredentials(ofSocket: probe.rawValue))
    } catch .cannotConnect(ECONNREFUSED), .cannotConnect(ENOENT) {
      self = .left
    } catch .cannotConnect(let code) {
      // Its queue is full, so there is a process.
      self = code == EAGAIN ? .listener(nil) : .unknown(code)
    } catch {
      self = .unknown(0)
    }
  }
}
