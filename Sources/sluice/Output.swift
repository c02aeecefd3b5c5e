import ArgumentParser
import Bytes
import Glibc
import JSON
import Transport

/// Standard output and standard error.
enum Output {
  static func print(_ text: String) {
    write(text, to: STDOUT_FILENO)
  }

  /// Prints what a gateway says, whoever that is: a terminal obeys nothing in it.
  static func show(_ text: String) {
    print(text.printableLines)
  }

  /// The same, in a line of JSON.
  static func show(_ json: JSON) {
    print(json.text.printableJSON + "\n")
  }

  /// - Parameter end: of the last line, if the text has none.
  static func error(_ text: String, end: String = "\n") {
    write(text.hasSuffix("\n") ? text : text + end, to: STDERR_FILENO)
  }

  static func tell(_ failure: CommandFailure, asJSON: Bool) {
    if asJSON { show(failure.json) } else { error(failure.text.printableLines) }
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
