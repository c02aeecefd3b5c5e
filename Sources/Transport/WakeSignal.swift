import CLinux
import Glibc
import Synchronization

/// Wakes a reactor from any thread. Raising it many times before the reactor wakes costs one system call.
final class WakeSignal: Sendable {
  let rawDescriptor: Int32
  private let isRaised = Atomic<Bool>(false)
  private let wantsStop = Atomic<Bool>(false)

  init() throws(TransportFailure) {
    rawDescriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    guard rawDescriptor >= 0 else { throw TransportFailure("make an event descriptor", errno) }
  }

  deinit {
    _ = Glibc.close(rawDescriptor)
  }

  func raise() {
    guard !isRaised.exchange(true, ordering: .acquiringAndReleasing) else { return }
    // It can only fail when the counter is full, and then the reactor is woken anyway.
    _ = eventfd_write(rawDescriptor, 1)
  }

  /// Called by the reactor before it looks at its mailboxes, so that it misses no message that is posted later.
  func lower() {
    var value: UInt64 = 0
    _ = unsafe eventfd_read(rawDescriptor, &value)
    // An exchange, not a store: what was done before the last `raise` must be seen after this.
    _ = isRaised.exchange(false, ordering: .acquiringAndReleasing)
  }

  /// Waits on the calling thread, without end where no time is given.
  ///
  /// - Returns: whether it was raised; false where the time was over first.
  @discardableResult
  func wait(until time: MonotonicTime? = nil) -> Bool {
    SocketCall.poll(rawDescriptor, POLLIN, until: time) != 0
  }

  func requestStop() {
    wantsStop.store(true, ordering: .releasing)
    raise()
  }

  var isStopRequested: Bool { wantsStop.load(ordering: .acquiring) }
}
