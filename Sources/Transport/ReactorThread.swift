import CLinux
import Glibc
import Synchronization

/// The thread of a reactor: a handle to stop it and to wait for its end.
public struct ReactorThread: Sendable {
  fileprivate final class State: Sendable {
    let signal: WakeSignal
    /// Nil once a caller waits, or has waited, for the thread.
    let thread: Mutex<pthread_t?>

    init(signal: WakeSignal, thread: pthread_t) {
      self.signal = signal
      self.thread = Mutex(thread)
    }
  }

  private let state: State

  /// Ends the reactor at its next turn, which closes its connections. Can be called from any thread.
  public func stop() {
    state.signal.requestStop()
  }

  /// Waits until the reactor has ended. Only the first caller waits.
  public func join() {
    let thread = state.thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    guard let thread else { return }
    _ = pthread_join(thread, nil)
  }

  /// Starts a thread that runs `body`, and waits until the body has announced its first result.
  static func start<Result: Sendable>(
    name: String, signal: WakeSignal,
    _ body: @escaping @Sendable (_ announce: (Swift.Result<Result, any Error>) -> Void) -> Void
  ) throws -> (ReactorThread, Result) {
    let start = ThreadStart(name: name, body)
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    defer { unsafe pthread_attr_destroy(&attributes) }
    unsafe pthread_attr_setstacksize(&attributes, 1 << 20)
    var thread = pthread_t()
    let argument = unsafe Unmanaged.passRetained(start as AnyThreadStart).toOpaque()
    let status = unsafe pthread_create(&thread, &attributes, runThread, argument)
    guard status == 0 else {
      unsafe Unmanaged<AnyThreadStart>.fromOpaque(argument).release()
      throw TransportFailure("start a thread", status)
    }
    let reactorThread = ReactorThread(state: State(signal: signal, thread: thread))
    do {
      return (reactorThread, try start.result())
    } catch {
      reactorThread.join()
      throw error
    }
  }
}

private class AnyThreadStart {
  func run() {}
}

/// The arguments of a new thread, and its result. The result is written once before the semaphore is posted, and read after it.
@safe private final class ThreadStart<Result: Sendable>: AnyThreadStart, @unchecked Sendable {
  private let name: String
  private let body: @Sendable ((Swift.Result<Result, any Error>) -> Void) -> Void
  private let announced = Mutex<Swift.Result<Result, any Error>?>(nil)
  private let semaphore: UnsafeMutablePointer<sem_t>

  init(name: String, _ body: @escaping @Sendable ((Swift.Result<Result, any Error>) -> Void) -> Void) {
    self.name = name
    self.body = body
    unsafe semaphore = .allocate(capacity: 1)
    unsafe sem_init(semaphore, 0, 0)
  }

  deinit {
    unsafe sem_destroy(semaphore)
    unsafe semaphore.deallocate()
  }

  override func run() {
    _ = unsafe pthread_setname_np(pthread_self(), String(name.prefix(15)))
    body { result in
      announced.withLock { $0 = result }
      _ = unsafe sem_post(semaphore)
    }
  }

  func result() throws -> Result {
    while unsafe sem_wait(semaphore) != 0 {
      // A signal interrupted the wait. No other failure is possible with our own semaphore.
    }
    return try announced.withLock { $0 }.unsafelyUnwrappedResult.get()
  }
}

extension Optional {
  /// The result, which exists because the semaphore was posted.
  fileprivate var unsafelyUnwrappedResult: Wrapped {
    guard let self else { preconditionFailure("the thread announced nothing") }
    return self
  }
}

private func runThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let argument = unsafe argument else { return nil }
  unsafe Unmanaged<AnyThreadStart>.fromOpaque(argument).takeRetainedValue().run()
  return nil
}
