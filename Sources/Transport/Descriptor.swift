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

  /// Gives the descriptor away; the caller must see to it that it is closed.
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
