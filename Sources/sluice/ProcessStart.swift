import Glibc

/// The arguments of this process.
///
/// The Swift runtime reads the arguments from `/proc`, and finds none in containers and chroots without it.
enum ProcessArguments {
  /// With the name of the program.
  static var all: [String] { [name ?? "sluice"] + (behindName ?? []) }

  private static var name: String? {
    guard let values = unsafe values, unsafe count > 0 else { return nil }
    return unsafe values[0].map { unsafe String(cString: $0) }
  }

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
  /// The signals that `serve` handles.
  static let handled = [SIGTERM, SIGINT, SIGHUP, SIGUSR2]

  /// Names the descriptor of the record that a process before has left.
  static let takeOverVariable = "SLUICE_TAKE_OVER"

  /// In a program that was executed in the place of another one, leaves those blocked that `serve` handles until it does, as executing it
  /// has taken the handlers away; all others were blocked meanwhile, too. To be called on the first thread, before there is another one.
  static func keepBlockedIfTakingOver() {
    guard unsafe getenv(takeOverVariable) != nil else { return }
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    for signal in handled { unsafe sigaddset(&signals, signal) }
    unsafe pthread_sigmask(SIG_SETMASK, &signals, nil)
  }

  /// Ignores the signals that would end `serve` but are never meant to end it: those of timers, of tools that ask servers to
  /// open their log again, of a terminal, and of a log file over its size limit. SIGHUP and SIGUSR2 are handled
  /// once the gateway runs.
  ///
  /// - Parameter isTakingOver: whether those two are blocked until then, and not to be lost.
  static func ignoreForServing(isTakingOver: Bool) {
    if !isTakingOver { ignore([SIGHUP, SIGUSR2]) }
    // Whoever has started the process may ignore it, and then nobody learns how a child has ended.
    _ = Glibc.signal(SIGCHLD, SIG_DFL)
    ignore([
      SIGPIPE, SIGUSR1, SIGALRM, SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR, SIGSTKFLT, SIGTTIN,
      SIGTTOU, SIGXFSZ,
    ])
    // All real-time signals end a process that does not handle them.
    ignore(Array(__libc_current_sigrtmin()...__libc_current_sigrtmax()))
  }

  static func ignore(_ signals: [Int32]) {
    for signal in signals { _ = Glibc.signal(signal, SIG_IGN) }
  }
}
