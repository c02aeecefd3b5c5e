import Synchronization
import Transport

/// The times of a stop: begins one that was announced, and ends one that takes too long. It has its own thread, so that it works whatever Swift's concurrency, the reactors or the
/// HTTP service are doing.
final class StopDeadline: Sendable {
  /// How long a stop may take after the grace: closing the remaining connections, and leaving the channel layers.
  static let bound = Duration.seconds(10)

  private enum State {
    case idle
    case running(ReactorThread, Mailbox<Order>)
    /// The stop is complete.
    case over
  }

  private struct Order {
    var grace: Duration
    var delay: Duration
  }

  private let bound: Duration
  private let begun: @Sendable () -> Void
  private let abandon: @Sendable () -> Void
  private let overdue: @Sendable (_ bound: Duration) -> Void
  private let state = Mutex(State.idle)

  /// - Parameters:
  ///   - begun: called on the separate thread when the delay is over, if there was one.
  ///   - abandon: called on the separate thread when the grace is over.
  ///   - overdue: called there when the bound is over, too; told how long the stop could take, from when it was asked for first.
  init(
    bound: Duration, begun: @escaping @Sendable () -> Void = {}, abandon: @escaping @Sendable () -> Void,
    overdue: @escaping @Sendable (_ bound: Duration) -> Void
  ) {
    self.bound = bound
    self.begun = begun
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
    let (thread, order) = try Reactor.start(name: "stop") { [bound, begun, abandon, overdue] reactor in
      let clock = Clock(reactor, bound, begun, abandon, overdue)
      return reactor.mailbox { clock.run($0) }
    }
    state = .running(thread, order)
  }

  /// Lets the time run; a second call makes it shorter, never longer.
  ///
  /// - Parameter delay: before the grace. A call without one ends that of an earlier one.
  /// - Throws: where it is not prepared, and the system has no thread for it.
  func begin(_ grace: Duration, after delay: Duration = .zero) throws {
    try state.withLock { state in
      try prepare(&state)
      if case .running(_, let order) = state { order.post(Order(grace: grace, delay: delay)) }
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
    private let beginning: Timer
    private let abandoning: Timer
    private var ending: Timer?
    /// When a stop was asked for first.
    private var asked: MonotonicTime?
    private var end: MonotonicTime?

    init(
      _ reactor: Reactor, _ bound: Duration, _ begun: @escaping () -> Void,
      _ abandon: @escaping () -> Void, _ overdue: @escaping (Duration) -> Void
    ) {
      self.reactor = reactor
      self.bound = bound
      beginning = reactor.timer(begun)
      abandoning = reactor.timer(abandon)
      // Unowned: the mailbox keeps this object while its reactor runs.
      ending = reactor.timer { [unowned self] in
        if let asked, let end { overdue((end + bound).since(asked)) }
      }
    }

    func run(_ order: Order) {
      if order.delay > .zero { beginning.schedule(after: order.delay) } else { beginning.cancel() }
      asked = asked ?? reactor.now
      let time = reactor.now + order.delay + order.grace
      if let end, time >= end { return }
      end = time
      abandoning.schedule(at: time)
      ending?.schedule(at: time + bound)
    }
  }
}
