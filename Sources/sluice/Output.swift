import ArgumentParser
import Glibc
import Transport

/// Standard output and standard error.
enum Output {
  static func print(_ text: String) {
    write(text, to: STDOUT_FILENO)
  }

  static func error(_ text: String) {
    write(text.hasSuffix("\n") ? text : text + "\n", to: STDERR_FILENO)
  }

  /// Writes why a command has failed.
  ///
  /// - Returns: what ends the command with exit code 1.
  static func failure(_ text: String) -> ExitCode {
    error(text)
    return ExitCode(1)
  }

  private static func write(_ text: String, to descriptor: Int32) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written >= 0 {
        bytes = bytes.dropFirst(written)
        continue
      }
      switch errno {
      case EINTR: continue
      case EAGAIN: waitForRoom(in: descriptor)
      // The reader is gone, as with `| head`. The result of the command still decides its exit code.
      case EPIPE: return
      case let code: return fail(descriptor, code)
      }
    }
  }

  /// Waits for room. Another process has made the shared open file non-blocking.
  private static func waitForRoom(in descriptor: Int32) {
    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    _ = unsafe poll(&entry, 1, -1)
  }

  /// Ends the process with exit code 1 if its output is lost, for example on a full disk. A lost error message does not end it.
  private static func fail(_ descriptor: Int32, _ code: Int32) {
    guard descriptor == STDOUT_FILENO else { return }
    error("sluice: standard output cannot be written: \(TransportFailure.text(code))")
    exit(1)
  }
}

/// The variables of this process's environment.
enum Environment {
  static var variables: [String: String] {
    var variables: [String: String] = [:]
    var entry = unsafe environ
    while let pointer = unsafe entry.pointee {
      let text = unsafe String(cString: pointer)
      if let equals = text.firstIndex(of: "=") {
        variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
      }
      unsafe entry += 1
    }
    return variables
  }
}
