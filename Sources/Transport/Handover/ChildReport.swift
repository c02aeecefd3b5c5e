import CLinux
import Glibc

/// What a child process has reported, and how it ended.
package struct ChildReport: Sendable, Equatable {
  /// How a process ended.
  package enum Ending: Sendable, Equatable {
    case exited(Int32)
    case signalled(Int32)
    /// The time was over, or it was given up, and it was killed.
    case late
    /// The system does not say: the process ignores SIGCHLD, or something else in it waits for every child.
    case unknown
  }

  /// What it has written to the descriptor for its report.
  package var report: [UInt8] = []
  /// The last of what it has written to its standard output and error.
  package var output: [UInt8] = []
  package var ending: Ending

  /// More than a report has, also one with the findings of a long file. Bytes.
  private static let mostReport = 4 << 20
  private static let mostOutput = 8 * 1024

  /// The number of the descriptor for the report in the child.
  package static let descriptor: Int32 = 3

  /// Starts a program with a file as its standard input, and waits for its end. What it has started itself is ended with it, as far as it is in
  /// its process group, and not waited for. Blocks the thread.
  ///
  /// - Parameters:
  ///   - input: the file's descriptor.
  ///   - time: after it the child is killed.
  ///   - isGivenUp: whether it is killed before: nobody needs to know any more.
  package static func run(
    _ program: ProgramFile, _ arguments: [String], environment: [String], input: Int32,
    within time: Duration, unless isGivenUp: () -> Bool = { false }
  ) throws(TransportFailure) -> ChildReport {
    let deadline = MonotonicTime.now + time
    let report = try Descriptor.pipe()
    let reading = Descriptor(adopting: report.reading)
    let output: (reading: Int32, writing: Int32)
    do throws(TransportFailure) {
      output = try Descriptor.pipe()
    } catch {
      _ = Descriptor(adopting: report.writing)
      throw error
    }
    let telling = Descriptor(adopting: output.reading)
    // Nothing is waited for that others do not write.
    for raw in [report.reading, output.reading] { _ = fcntl(raw, F_SETFL, O_NONBLOCK) }
    let child = try start(
      program, arguments, environment, [input, output.writing, output.writing, report.writing])
    var told = ChildReport(ending: .late)
    var ends = [reading.rawValue, telling.rawValue].map {
      pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
    }
    told.listen(to: &ends, of: child) { MonotonicTime.now >= deadline || isGivenUp() }
    told.ending = end(of: child)
    told.readRest(of: ends)
    return told
  }

  /// Closes the ends that are the child's in any case.
  private static func start(
    _ program: ProgramFile, _ arguments: [String], _ environment: [String], _ descriptors: [Int32]
  ) throws(TransportFailure) -> pid_t {
    defer { for writing in Set(descriptors[1...]) { _ = Descriptor(adopting: writing) } }
    return try program.start(arguments, environment: environment, descriptors: descriptors)
  }

  /// How long the end of a child may go unnoticed that says nothing. Milliseconds.
  private static let look: Int32 = 5
  /// More than a pipe holds, in reads.
  private static let mostRests = 256

  /// Reads until the child has ended: others may have the writing ends, too.
  ///
  /// - Parameter ends: for the report, and for what it says otherwise. They are ignored at their end.
  private mutating func listen(to ends: inout [pollfd], of child: pid_t, until isOver: () -> Bool) {
    while Self.state(of: child) == .running, !isOver() {
      let count = unsafe poll(&ends, nfds_t(ends.count), Self.look)
      for index in ends.indices where count > 0 && ends[index].revents != 0 {
        if !read(from: ends[index].fd, isReport: index == 0) { ends[index].fd = -1 }
      }
    }
  }

  /// Reads what was written by now.
  private mutating func readRest(of ends: [pollfd]) {
    for index in ends.indices where ends[index].fd >= 0 {
      for _ in 0..<Self.mostRests {
        guard read(from: ends[index].fd, isReport: index == 0) else { break }
      }
    }
  }

  /// - Returns: false at the end.
  private mutating func read(from raw: Int32, isReport: Bool) -> Bool {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = unsafe Glibc.read(raw, &bytes, bytes.count)
    guard count > 0 else { return count < 0 && errno == EINTR }
    if isReport {
      report += bytes[..<count]
      return report.count <= Self.mostReport
    }
    output += bytes[..<count]
    if output.count > 2 * Self.mostOutput { output.removeFirst(output.count - Self.mostOutput) }
    return true
  }

  private enum State {
    case running
    case ended
    /// There is no such child any more, and its number may be another process's by now.
    case gone
  }

  /// It keeps its number, and that of its group, until `end` is called.
  private static func state(of child: pid_t) -> State {
    var info = unsafe siginfo_t()
    let failed = unsafe waitid(P_PID, id_t(child), &info, WEXITED | WNOHANG | WNOWAIT) != 0
    if failed { return errno == ECHILD ? .gone : .running }
    return unsafe info.si_signo == 0 ? .running : .ended
  }

  /// Ends the child, and what it has started.
  private static func end(of child: pid_t) -> Ending {
    let state = state(of: child)
    guard state != .gone else { return .unknown }
    _ = kill(-child, SIGKILL)
    if state == .running { _ = kill(child, SIGKILL) }
    var status: Int32 = 0
    while unsafe waitpid(child, &status, 0) < 0 {
      guard errno == EINTR else { return state == .running ? .late : .unknown }
    }
    guard state == .ended else { return .late }
    // The lowest seven bits name the signal, the next byte the code (wait(2)).
    return status & 0x7F == 0 ? .exited(status >> 8 & 0xFF) : .signalled(status & 0x7F)
  }
}
