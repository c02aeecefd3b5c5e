import Synchronization

/// What waits for somebody, roughly, and its bound: in the mailboxes of one reactor, or in a queue. Callable from any thread.
///
/// Posting never fails, as what is posted may be an answer that somebody waits for. Whoever produces without being asked looks
/// before it posts the next thing: beyond the bound there is only what each producer had in its hands. Once the bound is reached
/// it is over for all of them until half of that was received, so that those who merely look do not keep those waiting who wait.
public final class WaitingLoad: Sendable {
  /// What a message takes beside what it refers to. Bytes.
  static let messageSize = 128

  private struct Waiters {
    var next = 0
    var bodies: [Int: @Sendable () -> Void] = [:]
  }

  private let most = Atomic<Int>(.max)
  private let waiting = Atomic<Int>(0)
  private let isFull = Atomic<Bool>(false)
  private let waiters = Mutex(Waiters())

  package init() {}

  /// - Parameter bytes: a single message is accepted however large it is.
  package func bound(to bytes: Int) {
    most.store(bytes, ordering: .relaxed)
  }

  /// In bytes.
  package var used: Int { waiting.load(ordering: .relaxed) }

  /// Whether so much waits that nothing more should be produced.
  public var isOver: Bool { isFull.load(ordering: .relaxed) }

  package func add(_ bytes: Int) {
    let used = waiting.add(bytes, ordering: .sequentiallyConsistent).newValue
    guard used >= most.load(ordering: .relaxed), !isOver else { return }
    isFull.store(true, ordering: .sequentiallyConsistent)
    // The messages may have been received meanwhile.
    endIfReceived()
  }

  package func subtract(_ bytes: Int) {
    waiting.subtract(bytes, ordering: .sequentiallyConsistent)
    endIfReceived()
  }

  /// One of the two sees what the other has done: this one that it is full, or that one that enough was received.
  private func endIfReceived() {
    guard isFull.load(ordering: .sequentiallyConsistent),
      waiting.load(ordering: .sequentiallyConsistent) <= most.load(ordering: .relaxed) / 2
    else { return }
    let ready = waiters.withLock { waiters in
      isFull.store(false, ordering: .sequentiallyConsistent)
      defer { waiters.bodies = [:] }
      return waiters.bodies.sorted { $0.key < $1.key }
    }
    for (_, goOn) in ready { goOn() }
  }

  /// Calls the body once there is room: now, or later on the thread that receives.
  ///
  /// - Returns: the body's number; nil where it was called.
  @discardableResult
  package func whenRoom(_ goOn: @escaping @Sendable () -> Void) -> Int? {
    let number: Int? = waiters.withLock { waiters in
      guard isFull.load(ordering: .sequentiallyConsistent) else { return nil }
      defer { waiters.next += 1 }
      waiters.bodies[waiters.next] = goOn
      return waiters.next
    }
    if number == nil { goOn() }
    // All that it waits for may have been received before the body was there.
    endIfReceived()
    return number
  }

  /// Waits until there is room, or the task is cancelled.
  package func room() async {
    let (rooms, room) = AsyncStream.makeStream(of: Void.self)
    let number = whenRoom { room.finish() }
    for await _ in rooms {}
    // A caller that is cancelled does not wait any more.
    if let number { forget(number) }
  }

  /// The body with this number is not called any more.
  package func forget(_ number: Int) {
    // What the body holds is let go of after the lock.
    _ = waiters.withLock { $0.bodies.removeValue(forKey: number) }
  }

  /// Waits until there is room, but no longer than the given time.
  ///
  /// - Returns: whether there is room.
  package func room(within time: Duration) async -> Bool {
    await within(time) {
      await self.room()
      return !Task.isCancelled
    } ?? false
  }

  /// How many callers wait for room.
  var waiterCount: Int { waiters.withLock { $0.bodies.count } }
}
