import GatewayConfig
import Transport

/// Tells the view of a route from time to time which sessions of this process are there, so that what it keeps of others can expire.
///
/// Also where there are none: a view that removes what nobody has named for a while does so then too. Confined to a reactor.
final class AliveReports {
  let interval: Duration
  /// Set before the first turn of the reactor.
  var route: SessionRoute?
  private unowned let worker: WorkerSessions
  private var timer: Timer?
  private var target = "/"
  private var parts: ArraySlice<ViewQuestion.Presence> = []
  /// Of the question that is under way.
  private var ticket: (number: Int, asker: any ViewAsker)?

  init(every interval: Duration, _ worker: WorkerSessions) {
    self.interval = interval
    self.worker = worker
    // Unowned: the timer is this object's own.
    let timer = worker.reactor.timer { [unowned self] in begin() }
    self.timer = timer
    // So that processes that were started together do not ask together.
    timer.schedule(after: interval * Double.random(in: 0..<1))
  }

  deinit { timer?.cancel() }

  /// Nobody is told any more.
  func end() {
    timer?.cancel()
    parts = []
    forget()
  }

  private func forget() {
    if let ticket { ticket.asker.forget(ticket.number) }
    ticket = nil
  }

  private func begin() {
    timer?.schedule(after: interval)
    // What is left of the last time is out of date.
    forget()
    guard let route else { return }
    let (addresses, target) = worker.process.views.presence(on: route)
    self.target = target
    parts = ViewQuestion.Presence.parts(of: addresses, every: interval)[...]
    goOn()
  }

  /// One part after the other, so that clients' questions do not wait for many of them.
  private func goOn() {
    ticket = nil
    guard let route, let part = parts.popFirst() else { return }
    let asker = worker.viewAsker(of: route)
    let question = ViewQuestion(
      id: ViewQuestionID.next(), event: .alive(part), place: .init(route: route.name, target: target))
    var terms = ViewTerms(asker: "")
    terms.lane = .reports
    terms.patience = interval / 2
    ticket = (asker.ask(question, terms) { [weak self] _ in self?.goOn() }, asker)
  }
}

extension ViewQuestion.Presence {
  /// The questions for all addresses: one without any where there are none.
  static func parts(of addresses: [String], every interval: Duration) -> [ViewQuestion.Presence] {
    let count = max(1, (addresses.count + most - 1) / most)
    return (0..<count).map { index in
      ViewQuestion.Presence(
        addresses: Array(addresses.dropFirst(index * most).prefix(most)), part: index + 1, parts: count,
        interval: interval / .seconds(1))
    }
  }
}
