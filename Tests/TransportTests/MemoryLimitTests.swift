import Glibc
import Testing

@testable import Transport

struct MemoryLimitTests {
  @Test func `the smallest limit of all parent control groups counts, of either version`() {
    let root = Folder()
    root.write("0::/system/gateway/one\n", to: "proc/self/cgroup")
    #expect(MemoryLimit.ofControlGroups(root: root.path) == nil)
    root.write("max\n", to: "sys/fs/cgroup/system/gateway/one/memory.max")
    #expect(MemoryLimit.ofControlGroups(root: root.path) == nil)
    root.write("536870912\n", to: "sys/fs/cgroup/system/gateway/memory.max")
    root.write("268435456\n", to: "sys/fs/cgroup/system/memory.max")
    #expect(MemoryLimit.ofControlGroups(root: root.path) == 268_435_456)

    root.write("5:cpu:/a\n4:cpuset,memory:/a/b\n0::/\n", to: "proc/self/cgroup")
    root.write("9223372036854771712\n", to: "sys/fs/cgroup/memory/memory.limit_in_bytes")
    #expect(MemoryLimit.ofControlGroups(root: root.path) == nil)
    root.write("1048576\n", to: "sys/fs/cgroup/memory/a/memory.limit_in_bytes")
    #expect(MemoryLimit.ofControlGroups(root: root.path) == 1_048_576)
  }

  @Test func `without /proc nothing is known of control groups`() {
    #expect(MemoryLimit.ofControlGroups(root: "/nowhere") == nil)
    #expect(MemoryLimit.ofProcess().bytes > 0)
  }
}

/// A folder of a test, removed with it.
private final class Folder {
  let path = "/tmp/sluice-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
  private var made: [String] = []

  init() {
    unsafe mkdir(path, 0o700)
  }

  func write(_ text: String, to name: String) {
    var folder = path
    for part in name.split(separator: "/").dropLast() {
      folder += "/" + part
      if unsafe mkdir(folder, 0o700) == 0 { made.append(folder) }
    }
    let file = path + "/" + name
    let descriptor = unsafe creat(file, 0o600)
    _ = unsafe Glibc.write(descriptor, text, text.utf8.count)
    close(descriptor)
    made.append(file)
  }

  deinit {
    for item in made.reversed() { unsafe remove(item) }
    unsafe rmdir(path)
  }
}
