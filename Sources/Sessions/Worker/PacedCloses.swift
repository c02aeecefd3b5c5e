import GatewayConfig
import Transport

/// Closes clients a few at a time, each for its own reason.
final class PacedCloses {
  private let reactor: Reactor
  private var waiting: [(client: any LiveSession, reason: CloseReason)] = []
  private var pace: ExchangePace
  private var timer: Timer?

  init(of worker: WorkerSessions) {
    reactor = worker.reactor
    pace = ExchangePace(
      reactor: worker.number, of: worker.process.threads, handshakes: worker.process.server.handshakes)
  }

  /// Closes a client at once where it may not be there any more, and otherwise when its turn comes.
  func close(_ client: any LiveSession, for end: ClientEnd) {
    let reason = CloseReason(end)
    if end.isAtOnce { client.close(reason) } else { waiting.append((client, reason)) }
  }

  var isOver: Bool { waiting.isEmpty }

  /// Begins to close those whose turn is to come; those that are added while others are closed follow them.
  func start() {
    guard !waiting.isEmpty else { return }
    pace.begin(with: waiting.count)
    if timer == nil { closeNext() }
  }

  private func closeNext() {
    for _ in 0..<min(pace.next(), waiting.count) {
      let (client, reason) = waiting.removeLast()
      client.close(reason)
    }
    guard !waiting.isEmpty else { return drop() }
    // Unowned: the timer is this object's own.
    let timer = timer ?? reactor.timer { [unowned self] in closeNext() }
    self.timer = timer
    timer.schedule(after: ExchangePace.tick)
  }

  /// None of those that wait are closed.
  func drop() {
    timer?.cancel()
    timer = nil
    pace.end()
    waiting = []
  }
}

extension ClientEnd {
  /// Whether the client may not be there for a moment longer.
  var isAtOnce: Bool {
    switch self {
    case .originRefused, .loginNeeded: true
    case .routeGone, .consumerChanged, .layerChanged, .groupsChanged, .rightsChanged: false
    }
  }
}
