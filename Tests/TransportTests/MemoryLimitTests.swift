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

struct FreeMemoryTests {
  private let root = Folder()

  private func free() -> Int? { FreeMemory.ofProcess(root: root.path).map { $0.bytes >> 20 } }

  private func write(_ mebibytes: Int, to name: String) { root.write("\(mebibytes << 20)\n", to: name) }

  @Test func `the group that has the least left counts, and files that are not in use are free`() {
    root.write("0::/system/one\n", to: "proc/self/cgroup")
    #expect(FreeMemory.ofProcess(root: root.path) == nil)
    write(500, to: "sys/fs/cgroup/system/memory.max")
    #expect(free() == nil)
    write(300, to: "sys/fs/cgroup/system/memory.current")
    #expect(free() == 200)
    root.write("anon 7\nactive_file 9\ninactive_file \(50 << 20)\n", to: "sys/fs/cgroup/system/memory.stat")
    #expect(free() == 250)
    write(100, to: "sys/fs/cgroup/system/one/memory.max")
    write(90, to: "sys/fs/cgroup/system/one/memory.current")
    #expect(FreeMemory.ofProcess(root: root.path) == FreeMemory(bytes: 10 << 20, source: .controlGroup))
    write(110, to: "sys/fs/cgroup/system/one/memory.current")
    #expect(free() == 0)
  }

  @Test func `swap space counts where the group may have it`() {
    root.write("0::/a\n", to: "proc/self/cgroup")
    write(100, to: "sys/fs/cgroup/a/memory.max")
    write(90, to: "sys/fs/cgroup/a/memory.current")
    root.write("SwapFree: 4096 kB\n", to: "proc/meminfo")
    #expect(free() == 10)
    write(1, to: "sys/fs/cgroup/a/memory.swap.current")
    root.write("max\n", to: "sys/fs/cgroup/a/memory.swap.max")
    #expect(free() == 14)
    write(3, to: "sys/fs/cgroup/a/memory.swap.max")
    #expect(free() == 12)
  }

  @Test func `version 1 has other names`() {
    root.write("4:memory:/a\n", to: "proc/self/cgroup")
    write(64, to: "sys/fs/cgroup/memory/a/memory.limit_in_bytes")
    write(60, to: "sys/fs/cgroup/memory/a/memory.usage_in_bytes")
    root.write(
      "inactive_file 5\ntotal_inactive_file \(2 << 20)\n", to: "sys/fs/cgroup/memory/a/memory.stat")
    #expect(free() == 6)
  }

  @Test func `the machine may have less`() {
    root.write("0::/a\n", to: "proc/self/cgroup")
    write(100, to: "sys/fs/cgroup/a/memory.max")
    write(10, to: "sys/fs/cgroup/a/memory.current")
    root.write(
      "MemTotal: 9999999 kB\nMemAvailable:    2048 kB\nSwapFree: 1024 kB\n", to: "proc/meminfo")
    #expect(FreeMemory.ofProcess(root: root.path) == FreeMemory(bytes: 3 << 20, source: .machine))
  }

  @Test func `this process has some left`() throws {
    #expect(try #require(FreeMemory.ofProcess()).bytes > 0)
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
