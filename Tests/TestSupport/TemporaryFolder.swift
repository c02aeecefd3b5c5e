package import Foundation
import Glibc

/// A folder that is removed with its last reference.
package final class TemporaryFolder: Sendable {
  package let url: URL

  package init() throws {
    url = FileManager.default.temporaryDirectory.appending(path: "sluice-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit {
    try? FileManager.default.removeItem(at: url)
  }

  package var path: String { url.path }

  package func path(_ name: String) -> String { url.appending(path: name).path }

  /// Writes a file, and the folders that lead to it.
  package func write(_ data: Data, as name: String) throws {
    let file = url.appending(path: name)
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try data.write(to: file, options: .atomic)
  }

  package func write(_ text: String, as name: String) throws {
    try write(Data(text.utf8), as: name)
  }

  /// What the system says of a file.
  package func status(of name: String) -> stat {
    var status = stat()
    _ = unsafe stat(path(name), &status)
    return status
  }

  /// Sets the times of a file's last access and modification.
  package func touch(_ name: String, seconds: Int, nanoseconds: Int) -> Bool {
    let times = [
      timespec(tv_sec: seconds, tv_nsec: nanoseconds), timespec(tv_sec: seconds, tv_nsec: nanoseconds),
    ]
    return unsafe utimensat(AT_FDCWD, path(name), times, 0) == 0
  }
}
