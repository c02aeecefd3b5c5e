import CLinux
import Glibc

/// The file of a program, opened once: what is tried and what is executed later are the same, whatever happens to its name or to what is in
/// it meanwhile.
package final class ProgramFile: Sendable {
  private let descriptor: Descriptor
  private let content: Content

  /// What a write to the file would change, and another file at its path would not.
  private struct Content: Equatable {
    var size: off_t
    /// Nanoseconds.
    var written: Int64

    init(_ status: stat) {
      size = status.st_size
      written = Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec)
    }
  }

  /// - Throws: for anything but a program that the system can execute by its descriptor.
  package init(path: String) throws(TransportFailure) {
    // A FIFO would keep the call until somebody writes to it.
    let opened = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
    guard opened >= 0 else {
      throw errno == ENXIO ? .noProgram("a socket or a device") : .system("open the program", errno)
    }
    descriptor = Descriptor(adopting: opened)
    var status = stat()
    guard unsafe fstat(opened, &status) == 0 else { throw .system("open the program", errno) }
    if let kind = Self.kind(ofNoFile: status.st_mode) { throw .noProgram(kind) }
    content = Content(status)
    guard status.st_mode & 0o111 != 0 else { throw .notExecutable }
    guard !isScript else { throw .isScript }
  }

  private var raw: Int32 { descriptor.rawValue }

  /// Nil for a regular file.
  private static func kind(ofNoFile mode: mode_t) -> String? {
    switch mode & S_IFMT {
    case S_IFREG: nil
    case S_IFDIR: "a folder"
    case S_IFIFO: "a pipe (FIFO)"
    case S_IFSOCK: "a socket"
    default: "a device"
    }
  }

  /// Whether an interpreter would have to open the file by a name, and the descriptor has none: it is closed in what it executes.
  private var isScript: Bool {
    var first: [UInt8] = [0, 0]
    return unsafe pread(raw, &first, 2, 0) == 2 && first == Array("#!".utf8)
  }

  /// Where the program of this process is: also where another file has taken the place of the one that it was started from.
  ///
  /// - Returns: nil without `/proc`.
  package static var ownPath: String? {
    let link = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX) + 1) { buffer in
      guard let base = buffer.baseAddress else { return nil as String? }
      let count = unsafe readlink("/proc/self/exe", base, buffer.count - 1)
      guard count > 0 else { return nil }
      unsafe buffer[count] = 0
      return unsafe String(cString: base)
    }
    let removed = " (deleted)"
    guard let link, link.hasSuffix(removed) else { return link }
    return String(link.dropLast(removed.count))
  }

  /// The first of these paths that leads to the program of this process: how it was started, perhaps through links, which may lead to
  /// another program later.
  ///
  /// - Returns: nil where none does, as in a process that has executed another program since, and without `/proc`.
  package static func ownPath(among paths: [String]) -> String? {
    var own = stat()
    guard unsafe stat("/proc/self/exe", &own) == 0 else { return nil }
    return paths.first { path in
      var found = stat()
      return unsafe stat(path, &found) == 0 && found.st_dev == own.st_dev && found.st_ino == own.st_ino
    }
  }

  /// Whether something was written to the file since it was opened.
  package var isChanged: Bool {
    var status = stat()
    return unsafe fstat(raw, &status) != 0 || Content(status) != content
  }

  /// Makes this process execute the program: every thread ends, and descriptors that are not inherited are closed.
  ///
  /// - Parameter arguments: with the name of the program.
  /// - Returns: only where it failed: `errno`.
  package func execute(_ arguments: [String], environment: [String]) -> Int32 {
    unsafe withCStrings(arguments) { arguments in
      unsafe withCStrings(environment) { environment in
        _ = unsafe fexecve(raw, arguments, environment)
        return errno
      }
    }
  }

  /// Starts the program as a child, with nothing of this process but the descriptors that are given: no signal is ignored or blocked. If
  /// memory is short, the system ends the child before others.
  ///
  /// - Parameters:
  ///   - descriptors: get the numbers 0, 1, 2, and so on in the child.
  /// - Returns: the number of the process.
  func start(
    _ arguments: [String], environment: [String], descriptors: [Int32]
  ) throws(TransportFailure) -> pid_t {
    // Above the numbers that they get, so that none of them is overwritten before it is moved.
    var copies: [Descriptor.Copy] = []
    for raw in descriptors { copies.append(try Descriptor.Copy(of: raw, from: Int32(descriptors.count))) }
    defer { withExtendedLifetime(copies) {} }
    let program = try Descriptor.Copy(of: raw, from: Int32(descriptors.count))
    let numbers = copies.map(\.rawValue)
    var child: pid_t = 0
    let status = unsafe withCStrings(arguments) { arguments in
      unsafe withCStrings(environment) { environment in
        unsafe start_program(
          program.rawValue, arguments, environment, numbers, Int32(numbers.count), &child)
      }
    }
    guard status == 0 else { throw .system("execute the program", status) }
    return child
  }
}

extension Descriptor {
  /// Another descriptor of the same open file, for as long as the object lives.
  final class Copy {
    let rawValue: Int32

    init(of raw: Int32, from least: Int32) throws(TransportFailure) {
      rawValue = fcntl(raw, F_DUPFD_CLOEXEC, least)
      guard rawValue >= 0 else { throw TransportFailure("duplicate a descriptor", errno) }
    }

    deinit { _ = Glibc.close(rawValue) }
  }

  /// Whether the process can have so many more at this moment.
  package static func canOpen(_ count: Int) -> Bool {
    var opened: [Int32] = []
    defer { for raw in opened { _ = Glibc.close(raw) } }
    while opened.count < count {
      guard let ends = try? pipe() else { return false }
      opened += [ends.reading, ends.writing]
    }
    return true
  }

  /// A pipe: what is written to the second end is read from the first one.
  package static func pipe() throws(TransportFailure) -> (reading: Int32, writing: Int32) {
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe2(&ends, Int32(O_CLOEXEC)) == 0 else { throw TransportFailure("make a pipe", errno) }
    return (ends[0], ends[1])
  }
}

/// The texts as C has them, with a null behind the last one, for as long as the body runs.
private func withCStrings<Result>(
  _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers = unsafe texts.map { unsafe strdup($0) } + [nil]
  defer { unsafe pointers.forEach { unsafe free($0) } }
  return unsafe pointers.withUnsafeMutableBufferPointer {
    unsafe body(UnsafePointer($0.baseAddress.unsafelyUnwrapped))
  }
}
