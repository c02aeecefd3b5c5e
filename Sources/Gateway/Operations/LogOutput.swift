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

  /// The event's own metadata wins; sorted, so that lines can be compared.
  static func merged(
    _ common: Logger.Metadata, _ own: Logger.Metadata?
  ) -> [(key: String, value: Logger.MetadataValue)] {
    common.merging(own ?? [:]) { $1 }.sorted { $0.key < $1.key }
  }
}
