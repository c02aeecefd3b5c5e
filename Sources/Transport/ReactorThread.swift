import CLinux
import Glibc
import Synchronization

/// The thread of a reactor: a handle to stop it and to wait for its end.
public final class ReactorThread: Sendable {
  private let signal: WakeSignal
  /// Nil once a caller waits, or has waited, for the thread.
  private let thread: Mutex<pthread_t?>

  /// Starts a thread that runs `body`, which has to end when the signal asks it to stop.
  init(name: String, signal: WakeSignal, _ body: @escaping @Sendable () -> Void) throws(TransportFailure) {
    self.thread = Mutex(try startThread(name, body))
    self.signal = signal
  }

  /// Ends the reactor at its next turn, which closes its connections. Can be called from any thread.
  public func stop() {
    signal.requestStop()
  }

  /// Waits until the reactor has ended. Only the first caller waits.
  public func join() {
    let thread = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    guard let thread else { return }
    _ = pthread_join(thread, nil)
  }
}

/// A thread that nobody waits for.
public enum DetachedThread {
  /// As much as the main thread usually has.
  private static let stack = 8 << 20

  /// - Throws: at once where the system has no thread.
  public static func start(
    name: String, _ body: @escaping @Sendable () -> Void
  ) throws(TransportFailure) {
    pthread_detach(try startThread(name, stack: stack, body))
  }
}

private func startThread(
  _ name: String, stack: Int = 1 << 20, _ body: @escaping @Sendable () -> Void
) throws(TransportFailure) -> pthread_t {
  let start = ThreadStart {
    _ = unsafe pthread_setname_np(pthread_self(), String(name.prefix(15)))
    body()
  }
  var attributes = pthread_attr_t()
  unsafe pthread_attr_init(&attributes)
  defer { unsafe pthread_attr_destroy(&attributes) }
  unsafe pthread_attr_setstacksize(&attributes, stack)
  var thread = pthread_t()
  let argument = unsafe Unmanaged.passRetained(start).toOpaque()
  let status = unsafe pthread_create(&thread, &attributes, runThread, argument)
  guard status == 0 else {
    unsafe Unmanaged<ThreadStart>.fromOpaque(argument).release()
    throw TransportFailure("start a thread", status)
  }
  return thread
}

/// What a new thread is given.
private final class ThreadStart: Sendable {
  let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) {
    self.body = body
  }
}

private func runThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let argument = unsafe argument else { return nil }
  unsafe Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue().body()
  return nil
}
