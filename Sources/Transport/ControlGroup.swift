/// A control group whose memory is counted, of version 1 or 2.
struct ControlGroup {
  private let folder: String
  private let isFirstVersion: Bool

  /// The groups of this process: its own ones and their ancestors.
  ///
  /// - Parameter root: where `/proc` and `/sys` are; for tests.
  static func all(root: String = "") -> [ControlGroup] {
    guard let memberships = SmallFile.contents(of: root + "/proc/self/cgroup") else { return [] }
    return memberships.split(separator: "\n").flatMap { line -> [ControlGroup] in
      // number:controllers:path; version 2 has no controllers.
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { return [] }
      let isFirst = parts[1].split(separator: ",").contains("memory")
      guard isFirst || parts[1].isEmpty else { return [] }
      let places = isFirst ? ["/sys/fs/cgroup/memory"] : ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
      return places.flatMap { place in
        chain(String(parts[2])).map {
          ControlGroup(folder: root + place + $0 + "/", isFirstVersion: isFirst)
        }
      }
    }
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

  /// What its processes may have together, in bytes; nil where nothing limits it, or it is not there.
  var limit: Int? {
    // `max` is not a number. Version 1 writes the largest number of whole pages.
    number(isFirstVersion ? "memory.limit_in_bytes" : "memory.max").flatMap { $0 < 1 << 60 ? $0 : nil }
  }

  /// How much more they may have, in bytes: the system takes files that were not read for a while out of memory, and where a group of
  /// version 2 may swap, other memory, too. Nil where nothing limits it.
  ///
  /// - Parameter swap: what is free of the machine's swap space.
  func free(swap: Int) -> Int? {
    guard let limit, let used = number(isFirstVersion ? "memory.usage_in_bytes" : "memory.current") else {
      return nil
    }
    let files = statistic(isFirstVersion ? "total_inactive_file" : "inactive_file") ?? 0
    return max(0, limit - max(0, used - files)) + (isFirstVersion ? 0 : freeSwap(of: swap))
  }

  private func freeSwap(of all: Int) -> Int {
    guard let used = number("memory.swap.current") else { return 0 }
    return min(all, max(0, (number("memory.swap.max") ?? .max) - used))
  }

  private func number(_ file: String) -> Int? {
    SmallFile.contents(of: folder + file).flatMap { Int($0.split(separator: "\n").first ?? "") }
  }

  private func statistic(_ name: String) -> Int? {
    SmallFile.contents(of: folder + "memory.stat")?.split(separator: "\n")
      .first { $0.hasPrefix(name + " ") }
      .flatMap { Int($0.dropFirst(name.count + 1)) }
  }
}
