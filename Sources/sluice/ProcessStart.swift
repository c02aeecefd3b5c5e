import Glibc

/// What the process was started with.
///
/// The Swift runtime reads the arguments from `/proc`, which some containers and chroots do not have, and finds none there.
enum ProcessArguments {
  /// Set before `main`, by the same thread; never changed.
  nonisolated(unsafe) fileprivate static var count: Int32 = 0
  nonisolated(unsafe) fileprivate static var values: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?

  /// The arguments behind the name of the program; nil where the system gave none, not even that.
  static var behindName: [String]? {
    guard let values = unsafe values, case let count = unsafe Int(count), count > 0 else { return nil }
    return (1..<count).map { index in
      unsafe values[index].map { unsafe String(cString: $0) } ?? ""
    }
  }
}

/// The system calls what stands in this section of the program before `main`, with the arguments (System V ABI, section 5.2.2; that they
/// are passed is glibc's).
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
  /// Opens `/dev/null` for those of 0, 1 and 2 that are closed: otherwise a socket gets the number, and the log goes to its peer.
  ///
  /// - Returns: false where a closed one cannot be opened.
  static func open() -> Bool {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
      // The lowest number that is free, which is this one.
      guard unsafe Glibc.open("/dev/null", O_RDWR) == descriptor else { return false }
    }
    return true
  }
}

enum Signals {
  /// A reader of the output that has gone is learnt from the write, whatever the command.
  static func ignorePipe() {
    ignore([SIGPIPE])
  }

  /// Those that would end `serve` and that nobody sends to end it: left-over timers, tools that ask other servers to open their log
  /// again, a terminal that is somebody else's, a log file that may not grow. SIGHUP counts from when certificates can be read again.
  static func ignoreForServing() {
    ignore([
      SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR, SIGSTKFLT, SIGTTIN,
      SIGTTOU, SIGXFSZ,
    ])
    // All real-time signals end a process that does not handle them.
    ignore(Array(__libc_current_sigrtmin()...__libc_current_sigrtmax()))
  }

  private static func ignore(_ signals: [Int32]) {
    for signal in signals { _ = Glibc.signal(signal, SIG_IGN) }
  }
}
