import CLinux
import Glibc
import Synchronization

/// Signals of the process that one thread hands out, one after the other.
///
/// Every thread has to block them: then they wait in the system until they are taken here, and those that were not are there for a program
/// that is executed in the process. Threads that Dispatch has made block them, and so do all that such a thread has made; the first
/// thread of the process is that of `serve`.
package final class SignalQueue: Sendable {
  private let raw: Int32
  private let turn = Mutex<Void>(())

  /// Blocks the signals on the calling thread. They are not ignored any more.
  package init(of numbers: [Int32]) throws(TransportFailure) {
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    for number in numbers { unsafe sigaddset(&signals, number) }
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    for number in numbers { _ = signal(number, SIG_DFL) }
    raw = unsafe signalfd(-1, &signals, Int32(SFD_NONBLOCK) | Int32(SFD_CLOEXEC))
    guard raw >= 0 else { throw TransportFailure("listen to signals", errno) }
  }

  deinit {
    _ = Glibc.close(raw)
  }

  /// Hands out what comes, for as long as the process lives.
  ///
  /// - Parameter handle: is called on this thread, and has done all that must not be lost when it returns.
  package func serve(_ handle: (_ number: Int32) -> Void) -> Never {
    while true {
      _ = SocketCall.poll(raw, POLLIN, until: nil)
      turn.withLock { _ in
        while case let number = take_signal(raw), number != 0 { handle(number) }
      }
    }
  }

  /// Does something while none is taken: whatever was taken before has been handed out, and the rest waits in the system.
  package func holding<Value: Sendable>(_ body: () -> Value) -> Value {
    turn.withLock { _ in body() }
  }
}
