import Synchronization
import Transport

/// Tells the service manager how many sessions there are, and that the gateway is alive as long as every reactor turns.
///
/// A separate thread asks each reactor for an answer. Where one does not answer, nothing is told, and the manager ends the process
/// after its time.
final class ServiceWatch: Sendable {
  /// How often the status is told where there is no watchdog.
  private static let interval = Duration.seconds(10)

  private let report: ServiceReport
  private let status: @Sendable () -> String
  /// By reactor: posts work to it.
  private let reactors: [@Sendable (@escaping @Sendable () -> Void) -> Void]
  /// Answers to the questions so far.
  private let answers = Atomic<Int>(0)

  init(
    _ report: ServiceReport, reactors: [@Sendable (@escaping @Sendable () -> Void) -> Void],
    status: @escaping @Sendable () -> String
  ) {
    self.report = report
    self.reactors = reactors
    self.status = status
  }

  /// - Returns: the thread, which must be stopped and joined.
  func start() throws -> ReactorThread {
    try Reactor.start(name: "service") { [self] reactor in _ = Round(reactor, self) }.thread
  }

  /// Asks every reactor once in each interval. The reactor's timer keeps it alive.
  private final class Round {
    private let watch: ServiceWatch
    private let interval: Duration
    /// The questions that were asked.
    private var asked = 0
    private var timer: Timer?

    init(_ reactor: Reactor, _ watch: ServiceWatch) {
      self.watch = watch
      interval = min(watch.report.watchdog ?? ServiceWatch.interval, ServiceWatch.interval)
      let timer = reactor.timer { [self] in
        turn()
        self.timer?.schedule(after: interval)
      }
      self.timer = timer
      ask()
      timer.schedule(after: interval)
    }

    private func turn() {
      // A reactor that owes an answer is not asked again, so that no questions gather in its mailbox.
      guard watch.answers.load(ordering: .acquiring) == asked else { return }
      if watch.report.watchdog != nil { watch.report.tell(.alive) }
      watch.report.tell(.status(watch.status()))
      ask()
    }

    private func ask() {
      asked += watch.reactors.count
      for post in watch.reactors {
        post { [watch] in watch.answers.add(1, ordering: .releasing) }
      }
    }
  }
}
