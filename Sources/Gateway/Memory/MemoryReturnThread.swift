import ChannelLayers
import Logging
import Sessions
import Synchronization
import Transport

/// Frees what histories have kept long enough, and returns free memory to the system after floods, on a separate thread. Allocations
/// wait while memory is returned.
final class MemoryReturnThread: Sendable {
  private static let interval = Duration.seconds(2)

  /// In microseconds, since the start.
  let longestPause = Atomic<Int>(0)
  let returns = Atomic<Int>(0)
  private let histories: HistoryMemory
  private let log: Logger

  init(_ histories: HistoryMemory, log: Logger) {
    self.histories = histories
    self.log = log
  }

  /// - Returns: the thread, which must be stopped and joined.
  func start() throws -> ReactorThread {
    try Reactor.start(name: "memory") { [self] reactor in _ = Watch(reactor, self) }.thread
  }

  /// Measures every few seconds. The reactor's timer keeps it alive.
  private final class Watch {
    private let owner: MemoryReturnThread
    private var decision = MemoryReturn()
    private var used = ProcessMemory.processorTime
    /// What the histories held at the last look. Bytes.
    private var historyBytes = 0
    private var time = MonotonicTime.now
    private var timer: Timer?

    init(_ reactor: Reactor, _ owner: MemoryReturnThread) {
      self.owner = owner
      // The memory of the process before the first client.
      if let resident = ProcessMemory.resident { _ = decision.isDue(resident: resident, load: 1) }
      let timer = reactor.timer { [self] in
        look()
        self.timer?.schedule(after: MemoryReturnThread.interval)
      }
      self.timer = timer
      timer.schedule(after: MemoryReturnThread.interval)
    }

    private func look() {
      owner.histories.forgetOld()
      let historiesNow = owner.histories.usedBytes
      decision.freed(historyBytes - historiesNow)
      historyBytes = historiesNow
      let (now, usedNow) = (MonotonicTime.now, ProcessMemory.processorTime)
      defer { (time, used) = (now, usedNow) }
      guard let resident = ProcessMemory.resident, now > time else { return }
      let passed = Double(now.nanoseconds - time.nanoseconds)
      let load = Double((usedNow - used).wholeNanoseconds) / passed
      guard decision.isDue(resident: resident, load: load) else { return }
      ProcessMemory.trim()
      let pause = Int(clamping: (MonotonicTime.now.nanoseconds - now.nanoseconds) / 1000)
      let left = ProcessMemory.resident ?? resident
      decision.returned(left)
      owner.report(before: resident, after: left, pause: pause)
    }
  }

  private func report(before: Int, after: Int, pause: Int) {
    returns.up()
    longestPause.max(pause, ordering: .relaxed)
    log.info(
      "free memory was returned to the system",
      metadata: ["resident": "\(after)", "before": "\(before)", "pause-us": "\(pause)"])
  }
}
