import Dispatch
import Glibc
import Synchronization

/// Where the process begins. Commands run on the threads of Swift's concurrency; the first thread waits.
@main
enum Program {
  static func main() {
    // Before anything else opens a descriptor.
    guard StandardDescriptors.open() else { exit(1) }
    Signals.keepBlockedIfTakingOver()
    // Detached from the main actor, whose thread this is.
    Task.detached {
      await Sluice.run()
      exit(0)
    }
    FirstThread.wait()
  }
}

/// The first thread of the process.
///
/// It is the only one on which a program that executes another one finds signals unblocked, and Dispatch would unblock them again if it had
/// it. So it waits until somebody needs it.
enum FirstThread {
  private static let work = Mutex<(@Sendable () -> Void)?>(nil)
  private static let given = DispatchSemaphore(value: 0)

  fileprivate static func wait() -> Never {
    while true {
      given.wait()
      work.withLock { $0.take() }?()
    }
  }

  /// Has it do something, once what it was given before is done.
  static func perform(_ body: @escaping @Sendable () -> Void) {
    work.withLock { $0 = body }
    given.signal()
  }
}
