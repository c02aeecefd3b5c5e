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
    guard let memberships = SmallFile.contents(of: root + "/proc/self/cgroup") else { return nil }
    var smallest: Int?
    for line in memberships.split(separator: "\n") {
      // number:controllers:path; version 2 has no controllers.
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let places: [(folder: String, file: String)]
      if parts[1].isEmpty {
        places = [("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/unified", "memory.max")]
      } else if parts[1].split(separator: ",").contains("memory") {
        places = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes")]
      } else {
        continue
      }
      for place in places {
        for path in chain(String(parts[2])) {
          guard let text = SmallFile.contents(of: root + place.folder + path + "/" + place.file),
            // `max` is not a number. Version 1 writes the largest number of whole pages.
            let bytes = Int(text.split(separator: "\n").first ?? ""), bytes < 1 << 60
          else { continue }
          smallest = min(smallest ?? bytes, bytes)
        }
      }
    }
    return smallest
  }

  /// The path and all its ancestors. In a container the outer part of the path may not exist; the root is the container's own
  /// group then.
  private static func chain(_ path: String) -> [String] {
    var names = path.split(separator: "/")
    var paths: [String] = []
    while !names.isEmpty {
      paths.append("/" + names.joined(separator: "/"))
      names.removeLast()
    }
    return paths + [""]
  }
}
