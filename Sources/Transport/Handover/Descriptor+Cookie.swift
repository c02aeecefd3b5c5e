import Glibc

// How the descriptor of a socket is found that a library opened and does not tell.

extension Descriptor {
  /// The option that reads the number which the kernel gives to a socket, and to no other (`SO_COOKIE`, Linux 4.12): level and name.
  public static let cookieOption = (level: SOL_SOCKET, name: Int32(57))

  /// The descriptor of the socket with this number; nil if this process has none.
  public static func ofSocket(withCookie cookie: UInt64) -> Int32? {
    var limit = rlimit()
    unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return (3..<Int32(clamping: min(limit.rlim_cur, 1 << 20))).first { descriptor in
      var (found, length) = (UInt64(0), socklen_t(MemoryLayout<UInt64>.size))
      return unsafe getsockopt(descriptor, cookieOption.level, cookieOption.name, &found, &length) == 0
        && found == cookie
    }
  }
}
