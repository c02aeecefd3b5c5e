import Glibc

/// The arguments of this process.
///
/// The Swift runtime reads the arguments from `/proc`, and finds none in containers and chroots without it.
enum ProcessArguments {
  /// Set before `main`, by the same thread; never changed.
  nonisolated(unsafe) fileprivate static var count: Int32 = 0
  nonisolated(unsafe) fileprivate static var values: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?

  /// The arguments after the name of the program; nil if the system passed none, not even the name.
  static var behindName: [String]? {
    guard let values = unsafe values, case let count = unsafe Int(count), count > 0 else { return nil }
    return (1..<count).map { index in unsafe values[index].map { unsafe String(cString: $0) } ?? "" }
  }
}

/// The system calls the functions in this section of the program before `main` (System V ABI, section 5.2.2). glibc passes them
/// the arguments.
@section(".init_array")
@used
private let takeArguments:
  @convention(c) (
    Int32, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
    UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
  ) -> Void = { count, values, _ in
    unsafe ProcessArguments.count = count
    unsafe ProcessArguments.values = values
  }

enum StandardDescriptors {
  /// Opens `/dev/null` for those of the descriptors 0, 1 and 2 that are closed. Otherwise a socket could get the number, and
  /// its peer the log.
  ///
  /// - Returns: false if a closed descriptor cannot be opened.
  static func open() -> Bool {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
      // The system chooses the lowest free number, which is this one.
      guard unsafe Glibc.open("/dev/null", O_RDWR) == descriptor else { return false }
    }
    return true
  }
}

enum Signals {
  /// Ignores the signals that would end `serve` but are never meant to end it: those of timers, of tools that ask servers to
  /// open their log again, of a terminal, and of a log file over its size limit. SIGHUP is handled once certificates can be
  /// loaded again.
  static func ignoreForServing() {
    ignore([
      SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR, SIGSTKFLT, SIGTTIN,
      SIGTTOU, SIGXFSZ,
    ])
    // All real-time signals end a process that does not handle them.
    ignore(Array(__libc_current_sigrtmin()...__libc_current_sigrtmax()))
  }

  static func ignore(_ signals: [Int32]) {
    for signal in signals { _ = Glibc.signal(signal, SIG_IGN) }
  }
}
