import CLinux
import Glibc

/// Owns one file descriptor and closes it exactly once.
public struct Descriptor: ~Copyable {
  public let rawValue: Int32

  /// Becomes the owner of `rawValue`.
  public init(adopting rawValue: Int32) {
    self.rawValue = rawValue
  }

  /// A second descriptor of the same open file.
  public static func duplicate(of rawValue: Int32) throws(TransportFailure) -> Descriptor {
    let copy = fcntl(rawValue, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0 else { throw .system("duplicate a descriptor", errno) }
    return Descriptor(adopting: copy)
  }

  /// Two connected non-blocking sockets. The caller must close both.
  public static func socketPair() throws(TransportFailure) -> (Int32, Int32) {
    var ends: [Int32] = [-1, -1]
    guard unsafe socketpair(AF_UNIX, SocketCall.streamFlags, 0, &ends) == 0 else {
      throw TransportFailure("open a pair of sockets", errno)
    }
    for end in ends { UnsentBound.set(on: end) }
    return (ends[0], ends[1])
  }

  /// Returns the descriptor and gives up its ownership. The caller must close it.
  public consuming func take() -> Int32 {
    let value = rawValue
    discard self
    return value
  }

  deinit {
    // EINTR leaves the descriptor closed on Linux, and nothing is buffered that a failure could lose.
    _ = Glibc.close(rawValue)
  }
}
