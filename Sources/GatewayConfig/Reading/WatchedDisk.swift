import Synchronization

/// The disk for a gateway that runs. A thread that is kept by a file can serve nobody, so only regular files are read here; and since a
/// regular file of a network file system that is gone keeps its reader, too, it is known which file is being waited for.
package final class WatchedDisk: FileAccess, Sendable {
  private struct Wait {
    var path: String
    var since: ContinuousClock.Instant
  }

  private let disk = Disk()
  private let wait = Mutex<Wait?>(nil)

  package init() {}

  /// The file that is being waited for, if that has taken so long; nil otherwise. Can be called from any thread.
  package func silentFile(for time: Duration) -> String? {
    wait.withLock { wait in
      wait.flatMap { $0.since.duration(to: .now) >= time ? $0.path : nil }
    }
  }

  /// Does something that a file may keep its thread by. Not inside of another one.
  package func reach<Value>(_ path: String, _ body: (Disk) -> Value) -> Value {
    wait.withLock { $0 = Wait(path: path, since: .now) }
    defer { wait.withLock { $0 = nil } }
    return body(disk)
  }

  package func contents(of path: String, as use: FileUse) -> Result<[UInt8], FileFault> {
    guard use != .configuration || !Disk.isStandardInput(path) else {
      return .failure(
        FileFault(Disk.standardInputIsRead))
    }
    // A pipe named on the command line has been read at the start.
    return reach(path) { $0.contents(of: path, as: use == .configuration ? .include : use) }
  }

  package func fault(of path: String, as use: FileUse) -> FileFault? {
    reach(path) { $0.fault(of: path, as: use) }
  }
  package func isDirectory(_ path: String) -> Bool { reach(path) { $0.isDirectory(path) } }
  package func isFile(_ path: String) -> Bool { reach(path) { $0.isFile(path) } }
  package func names(in directory: String) -> [String] { reach(directory) { $0.names(in: directory) } }
  package func absolute(_ path: String) -> String { disk.absolute(path) }
  package func resolved(_ path: String) -> String? { reach(path) { $0.resolved(path) } }
  package func isReadableByAll(_ path: String) -> Bool { reach(path) { $0.isReadableByAll(path) } }
}
