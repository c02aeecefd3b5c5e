import Glibc
import Transport

/// The system's figures about the server's process on this machine.
package struct ServerProcess: Sendable, Equatable {
  /// Resident memory in bytes.
  package var residentBytes: Int
  /// Processor time of all its threads.
  package var processorTime: Duration

  package static func read(_ process: Int32) throws(BenchFailure) -> ServerProcess {
    guard let status = SmallFile.contents(of: "/proc/\(process)/status"),
      let statistics = SmallFile.contents(of: "/proc/\(process)/stat"),
      let found = ServerProcess(
        status: status, statistics: statistics, ticksPerSecond: sysconf(Int32(_SC_CLK_TCK)))
    else { throw BenchFailure("there is no process \(process) on this machine") }
    return found
  }

  /// - Parameter statistics: utime and stime are the 14th and 15th field (proc_pid_stat(5)); the second field is the name of
  ///   the program in parentheses, which may contain spaces.
  init?(status: String, statistics: String, ticksPerSecond: Int) {
    guard
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
      let kibibytes = line.split(whereSeparator: { " \t".contains($0) }).dropFirst().first.flatMap({ Int($0) }
      ),
      let name = statistics.lastIndex(of: ")")
    else { return nil }
    let fields = statistics[name...].split(separator: " ")
    guard fields.count > 13, let user = Int(fields[12]), let system = Int(fields[13]), ticksPerSecond > 0
    else { return nil }
    residentBytes = kibibytes * 1024
    processorTime = .seconds(Double(user + system) / Double(ticksPerSecond))
  }
}
