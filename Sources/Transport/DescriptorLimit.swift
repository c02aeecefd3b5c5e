import Glibc

/// How many descriptors this process may have open.
public struct DescriptorLimit: Sendable {
  public var descriptors: Int

  /// The limit if the system sets none, so that a limit on connections always exists.
  private static let ceiling = 1 << 20

  /// Whether this process can have so many descriptors beside those that it has inherited.
  ///
  /// Its own are not counted: Dispatch opens some at any time, so the answer would not be the same twice. Whatever this process opens
  /// is closed when it executes another program, and what it has inherited is not, or it would not be here.
  ///
  /// - Parameter count: at least 1. With those that are open already.
  /// - Returns: nil where it can; otherwise the lowest limit with which it could.
  public func least(for count: Int) -> Int? {
    var free = 0
    // The limit is on the number of a descriptor, so what lies above it takes up no place.
    for descriptor in 0..<Int32(clamping: descriptors) {
      let flags = fcntl(descriptor, F_GETFD)
      guard flags < 0 || flags & FD_CLOEXEC != 0 else { continue }
      free += 1
      if free >= count { return nil }
    }
    return descriptors + count - free
  }

  /// How many this process has open. It takes long, as a descriptor for `/proc` may not be left.
  package static func openCount() -> Int {
    (0..<Int32(ceiling)).count { fcntl($0, F_GETFD) >= 0 }
  }

  /// Raises the soft limit to the hard one, as a process that holds a connection for each client must.
  public static func raise() -> DescriptorLimit {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
      return DescriptorLimit(descriptors: 1024)
    }
    let soft = limit.rlim_cur
    limit.rlim_cur = limit.rlim_max
    if unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) != 0 { limit.rlim_cur = soft }
    return DescriptorLimit(descriptors: Int(clamping: min(limit.rlim_cur, rlim_t(ceiling))))
  }
}
