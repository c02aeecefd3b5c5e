import Synchronization
import Transport

/// Ends a stop that takes too long. It has its own thread, so that it works whatever Swift's concurrency, the reactors or the
/// HTTP service are doing.
final class StopDeadline: Sendable {
  /// How long a stop may take after the grace: closing the remaining connections, and leaving the channel layers.
  static let bound = Duration.seconds(10)

  private enum State {
    case idle
    case running(ReactorThread, Mailbox<Duration>)
    /// The stop is complete.
    case over
  }

  private let bound: Duration
  private let abandon: @Sendable () -> Void
  private let overdue: @Sendable () -> Void
  private let state = Mutex(State.idle)

  /// - Parameters:
  ///   - abandon: called on the separate thread when the grace is over.
  ///   - overdue: called there when the bound is over, too.
  init(
    bound: Duration, abandon: @escaping @Sendable () -> Void,
    overdue: @escaping @Sendable () -> Void
  ) {
    self.bound = bound
    self.abandon = abandon
    self.overdue = overdue
  }

  /// Makes the thread, so that a stop has it whatever the process has used up by then.
  ///
  /// - Throws: where the system has no thread or no descriptor for it.
  func prepare() throws {
    try state.withLock { try prepare(&$0) }
  }

  private func prepare(_ state: inout State) throws {
    guard case .idle = state else { return }
    let (thread, order) = try Reactor.start(name: "stop") { [bound, abandon, overdue] reactor in
      let clock = Clock(reactor, bound, abandon, overdue)
      return reactor.mailbox { clock.run(for: $0) }
    }
    state = .running(thread, order)
  }

  /// Lets the time run; a second call makes it shorter, never longer.
  ///
  /// - Throws: where it is not prepared, and the system has no thread for it.
  func begin(_ grace: Duration) throws {
    try state.withLock { state in
      try prepare(&state)
      if case .running(_, let order) = state { order.post(grace) }
    }
  }

  /// The stop is complete.
  func end() {
    let old = state.withLock { state in
      defer { state = .over }
      return state
    }
    guard case .running(let thread, _) = old else { return }
    thread.stop()
    thread.join()
  }

  /// Its reactor's mailbox keeps it alive.
  private final class Clock {
    private let reactor: Reactor
    private let bound: Duration
    private let abandoning: Timer
    private let ending: Timer
    private var end: MonotonicTime?

    init(
      _ reactor: Reactor, _ bound: Duration, _ abandon: @escaping () -> Void, _ overdue: @escaping () -> Void
    ) {
      self.reactor = reactor
      self.bound = bound
      abandoning = reactor.timer(abandon)
      ending = reactor.timer(overdue)
    }

    func run(for grace: Duration) {
      let time = reactor.now + grace
      if let end, time >= end { return }
      end = time
      abandoning.schedule(at: time)
      ending.schedule(at: time + bound)
    }
  }
}
