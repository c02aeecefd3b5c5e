import Glibc
import Logging

/// What both kinds of log line have in common.
package enum LogOutput {
  /// Writes one line to standard error in one system call, so that lines of several threads do not mix.
  @Sendable package static func standardError(_ line: String) {
    var bytes = Array(line.utf8)
    bytes.append(UInt8(ascii: "\n"))
    // Nobody could be told that the log cannot be written.
    unsafe bytes.withUnsafeBytes { _ = unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  /// UTC, RFC 3339 with milliseconds.
  static func timestamp() -> String {
    var now = timespec()
    var parts = unsafe tm()
    unsafe clock_gettime(CLOCK_REALTIME, &now)
    unsafe gmtime_r(&now.tv_sec, &parts)
    func padded(_ number: Int, _ width: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let date = unsafe [
      padded(Int(parts.tm_year) + 1900, 4), padded(Int(parts.tm_mon) + 1, 2), padded(Int(parts.tm_mday), 2),
    ].joined(separator: "-")
    let time = unsafe [
      padded(Int(parts.tm_hour), 2), padded(Int(parts.tm_min), 2), padded(Int(parts.tm_sec), 2),
    ].joined(separator: ":")
    return "\(date)T\(time).\(padded(now.tv_nsec / 1_000_000, 3))Z"
  }

  /// The event's own metadata wins; sorted, so that lines can be compared.
  static func merged(
    _ common: Logger.Metadata, _ own: Logger.Metadata?
  ) -> [(key: String, value: Logger.MetadataValue)] {
    common.merging(own ?? [:]) { $1 }.sorted { $0.key < $1.key }
  }
}
