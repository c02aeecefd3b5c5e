import GatewayConfig
import Glibc

/// What the system says of another process.
enum OtherProcess {
  /// What stands behind the name in `/proc/PID/stat` (proc(5)), from the letter of its state on; nil where there is no such process, or it
  /// is not shown.
  private static func fields(of process: Int32) -> [Substring]? {
    guard case .success(let bytes) = Disk().contents(of: "/proc/\(process)/stat", as: .include) else {
      return nil
    }
    let text = String(decoding: bytes, as: UTF8.self)
    guard let end = text.lastIndex(of: ")") else { return nil }
    return text[end...].split(separator: " ").dropFirst().map(\.self)
  }

  /// Whether it is stopped, by a signal or a debugger.
  static func isStopped(_ process: Int32) -> Bool { ["T", "t"].contains(fields(of: process)?.first) }

  /// Whether it has not ended. One that has keeps its number until its parent takes note of it, and some parents never do.
  static func isRunning(_ process: Int32) -> Bool {
    guard kill(process, 0) == 0 || errno == EPERM else { return false }
    guard let fields = fields(of: process), ["Z", "X"].contains(fields.first) else { return true }
    // Its first thread has ended, as that of a process that is about to execute another program.
    return fields.count > threads && (Int(fields[threads]) ?? 0) > 1
  }

  /// The place of the number of threads.
  private static let threads = 17
}
