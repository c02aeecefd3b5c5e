import CLinux
import Glibc

/// Owns one file descriptor and closes it exactly once.
public struct Descriptor: ~Copyable, Sendable {
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

  /// Lets the programs that this process executes have the descriptor, or keeps it from them. A child that is being started at the same
  /// time may see either.
  ///
  /// - Returns: false if there is no such descriptor.
  @discardableResult
  public static func setInherited(_ rawValue: Int32, _ isInherited: Bool) -> Bool {
    fcntl(rawValue, F_SETFD, isInherited ? 0 : FD_CLOEXEC) == 0
  }

  /// Lets the program that is about to be executed have these descriptors and the standard ones, and no others: some libraries leave
  /// theirs to whatever comes.
  public static func inherit(only inherited: [Int32]) {
    if keep_descriptors(3) != 0 {
      var limit = rlimit()
      unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      for raw in 3..<Int32(clamping: min(limit.rlim_cur, 1 << 20)) { setInherited(raw, false) }
    }
    for raw in inherited { setInherited(raw, true) }
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
