import Sessions
import Transport
import WebSocketCore

/// Spreads the close frames of a stop over the first half of its grace, so that the clients do not all reconnect at once. A
/// small number of sessions is closed at once.
final class ClosePace {
  private static let tick = Duration.milliseconds(50)
  /// Closing fewer sessions per second would only make a stop slow.
  private static let leastPerSecond = 500

  private let reactor: Reactor
  private let reason: CloseReason
  private let perTick: Int
  private var waiting: [any LiveSession]
  private var timer: Timer?

  init(closing sessions: [any LiveSession], order: StopOrder, reactor: Reactor) {
    self.reactor = reactor
    reason = order.reason
    waiting = sessions
    let ticks = max(1, Int(order.grace / 2 / Self.tick))
    let leastPerTick = Self.leastPerSecond / Int(Duration.seconds(1) / Self.tick)
    perTick = max(leastPerTick, (sessions.count + ticks - 1) / ticks)
  }

  func start() {
    closeNext()
    guard !waiting.isEmpty else { return }
    // Unowned: the worker keeps the pace until all sessions have ended, and then ends it.
    let timer = reactor.timer { [unowned self] in
      closeNext()
      if !waiting.isEmpty { self.timer?.schedule(after: Self.tick) }
    }
    self.timer = timer
    timer.schedule(after: Self.tick)
  }

  /// All sessions have ended by themselves.
  func end() {
    timer?.cancel()
    waiting = []
  }

  private func closeNext() {
    for _ in 0..<min(perTick, waiting.count) {
      waiting.removeLast().close(reason)
    }
  }
}
