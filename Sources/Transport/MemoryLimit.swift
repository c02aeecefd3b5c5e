import Glibc

/// How much memory this process may have.
public struct MemoryLimit: Sendable, Equatable {
  /// In bytes.
  public var bytes: Int
  public var source: Source

  /// What bounds it.
  public enum Source: String, Sendable {
    case controlGroup = "cgroup"
    case addressSpace = "ulimit -v"
    case machine = "the machine's memory"
  }

  /// The smallest of three limits: the memory limit of the process's control group and its ancestors (versions 1 and 2),
  /// `RLIMIT_AS`, and the memory of the machine.
  public static func ofProcess() -> MemoryLimit {
    var limits = [machine]
    if let space = addressSpace { limits.append(MemoryLimit(bytes: space, source: .addressSpace)) }
    if let group = ofControlGroups() { limits.append(MemoryLimit(bytes: group, source: .controlGroup)) }
    return limits.min { $0.bytes < $1.bytes } ?? machine
  }

  private static var machine: MemoryLimit {
    let bytes = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
    // If the system does not tell, a small machine is assumed.
    return MemoryLimit(bytes: bytes > 0 ? bytes : 1 << 30, source: .machine)
  }

  private static var addressSpace: Int? {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 else { return nil }
    // RLIM_INFINITY is the largest number there is.
    return limit.rlim_cur >= rlim_t(Int.max) ? nil : Int(limit.rlim_cur)
  }

  /// - Parameter root: where `/proc` and `/sys` are; for tests.
  static func ofControlGroups(root: String = "") -> Int? {
    ControlGroup.all(root: root).compactMap(\.limit).min()
  }
}
