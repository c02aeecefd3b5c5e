import Synchronization

/// What waits in the mailboxes of one reactor, roughly, and its bound. Callable from any thread.
///
/// Posting never fails, as what is posted may be an answer that somebody waits for. Whoever produces without being asked looks
/// before it posts the next thing: beyond the bound there is only what each producer had in its hands.
final class MailboxLoad: Sendable {
  /// What a message takes beside what it refers to. Bytes.
  static let messageSize = 128

  private let most = Atomic<Int>(.max)
  private let waiting = Atomic<Int>(0)
  private let waiters = Mutex<[@Sendable () -> Void]>([])
  private let hasWaiters = Atomic<Bool>(false)

  /// - Parameter bytes: one message is taken however large it is.
  func bound(to bytes: Int) {
    most.store(bytes, ordering: .relaxed)
  }

  /// In bytes.
  var used: Int { waiting.load(ordering: .relaxed) }

  var isOver: Bool { used >= most.load(ordering: .relaxed) }

  /// Somewhat less than is allowed, so that producers do not go on for each message that is received.
  private var hasRoom: Bool {
    waiting.load(ordering: .sequentiallyConsistent) <= most.load(ordering: .relaxed) / 2
  }

  func add(_ bytes: Int) {
    waiting.add(bytes, ordering: .relaxed)
  }

  func subtract(_ bytes: Int) {
    waiting.subtract(bytes, ordering: .sequentiallyConsistent)
    // One of the two sees what the other has done: this one who waits, or that one the room.
    guard hasWaiters.load(ordering: .sequentiallyConsistent), hasRoom else { return }
    let ready = waiters.withLock { waiters in
      hasWaiters.store(false, ordering: .sequentiallyConsistent)
      defer { waiters = [] }
      return waiters
    }
    for goOn in ready { goOn() }
  }

  /// Calls the body once there is room: now, or later on the reactor's thread.
  func whenRoom(_ goOn: @escaping @Sendable () -> Void) {
    let mustWait = waiters.withLock { waiters in
      hasWaiters.store(true, ordering: .sequentiallyConsistent)
      guard !hasRoom else {
        hasWaiters.store(!waiters.isEmpty, ordering: .sequentiallyConsistent)
        return false
      }
      waiters.append(goOn)
      return true
    }
    if !mustWait { goOn() }
  }
}
