/// How much more memory this process may take.
package struct FreeMemory: Sendable, Equatable {
  /// In bytes.
  package var bytes: Int
  package var source: MemoryLimit.Source

  package init(bytes: Int, source: MemoryLimit.Source) {
    (self.bytes, self.source) = (bytes, source)
  }

  /// The least that its control groups and the machine have left. Memory of files that the system would take counts as free.
  ///
  /// - Parameter root: where `/proc` and `/sys` are; for tests.
  /// - Returns: nil where the system does not tell.
  package static func ofProcess(root: String = "") -> FreeMemory? {
    let machine = MachineMemory(root: root)
    var all = ControlGroup.all(root: root).compactMap { $0.free(swap: machine.freeSwap) }
      .map { FreeMemory(bytes: $0, source: .controlGroup) }
    if let available = machine.available {
      all.append(FreeMemory(bytes: available + machine.freeSwap, source: .machine))
    }
    return all.min { $0.bytes < $1.bytes }
  }
}

/// What the machine has left, in bytes.
private struct MachineMemory {
  var available: Int?
  var freeSwap = 0

  init(root: String) {
    for line in (SmallFile.contents(of: root + "/proc/meminfo") ?? "").split(separator: "\n") {
      // MemAvailable:   12345678 kB
      let words = line.split(separator: " ")
      guard words.count > 1, let kibibytes = Int(words[1]) else { continue }
      switch words[0] {
      case "MemAvailable:": available = kibibytes * 1024
      case "SwapFree:": freeSwap = kibibytes * 1024
      default: break
      }
    }
  }
}
