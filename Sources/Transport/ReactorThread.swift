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
    let start = ThreadStart {
      _ = unsafe pthread_setname_np(pthread_self(), String(name.prefix(15)))
      body()
    }
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    defer { unsafe pthread_attr_destroy(&attributes) }
    unsafe pthread_attr_setstacksize(&attributes, 1 << 20)
    var thread = pthread_t()
    let argument = unsafe Unmanaged.passRetained(start).toOpaque()
    let status = unsafe pthread_create(&thread, &attributes, runThread, argument)
    guard status == 0 else {
      unsafe Unmanaged<ThreadStart>.fromOpaque(argument).release()
      throw TransportFailure("start a thread", status)
    }
    self.signal = signal
    self.thread = Mutex(thread)
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
