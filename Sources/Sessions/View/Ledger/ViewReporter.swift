import ChannelLayers
import GatewayConfig
import Logging
import Routing
import Transport

/// What one worker tells views that nobody waits for: the ends of sessions, and who is there. Confined to its reactor.
final class ViewReporter {
  // The worker owns it.
  private unowned let worker: WorkerSessions
  private var routes: [String: RouteReports] = [:]
  private var isHurried = false

  init(of worker: WorkerSessions) {
    self.worker = worker
  }

  /// The routes that this worker reports for from now on.
  func serve(_ served: [SessionRoute]) {
    let names = Set(served.map(\.name))
    for (name, reports) in routes where !names.contains(name) {
      reports.retire()
      if reports.isEmpty { routes[name] = nil }
    }
    for route in served { self[route].serve(route) }
  }

  func add(_ report: ViewReport, on route: SessionRoute) {
    self[route].add(report)
  }

  /// More wait than there is room for, and most of them for this route.
  func giveUpOldest(of route: String) { routes[route]?.giveUpOldest() }

  /// A stop waits for them.
  func hurry() {
    isHurried = true
    for reports in routes.values { reports.hurry() }
  }

  private subscript(route: SessionRoute) -> RouteReports {
    if let known = routes[route.name] { return known }
    let reports = RouteReports(route, worker)
    if isHurried { reports.hurry() }
    routes[route.name] = reports
    return reports
  }
}

/// The reports of one route. Confined to the worker's reactor.
final class RouteReports {
  private unowned let worker: WorkerSessions
  private var route: SessionRoute
  private var lane: ReportLane<ViewReport>
  private var timer: Timer?
  private var presence: AliveReports?
  /// Whether a line has said that the reports lag behind.
  private var lags = false

  /// Reports that wait for longer are told of in the log.
  private static let longestLag = Duration.seconds(30)

  init(_ route: SessionRoute, _ worker: WorkerSessions) {
    self.route = route
    self.worker = worker
    lane = ReportLane(width: 1)
    lane.width = width
  }

  deinit { timer?.cancel() }

  /// Questions that clients wait for need the others; at the end of a stop there are none.
  private var width: Int {
    let inFlight = route.configuration.consumer.view?.inFlight ?? 1
    return lane.isHurried ? inFlight : inFlight / 4
  }

  private var ledger: ViewLedger { worker.process.views }
  private var now: MonotonicTime { worker.reactor.now }

  var isEmpty: Bool { lane.count == 0 }

  func serve(_ route: SessionRoute) {
    self.route = route
    lane.width = width
    goOn()
    guard let interval = route.configuration.consumer.view?.alive else {
      retire()
      return
    }
    if presence?.interval != interval {
      retire()
      presence = AliveReports(every: interval, worker)
    }
    presence?.route = route
  }

  /// The route is not served any more. Its view is still told what is left.
  func retire() {
    presence?.end()
    presence = nil
  }

  func add(_ report: ViewReport) {
    lane.add(report, at: now)
    goOn()
  }

  func giveUpOldest() {
    while ledger.hasTooMany(of: route.name), let oldest = lane.removeOldest() { ledger.gaveUp(oldest) }
  }

  func hurry() {
    lane.hurry(at: now)
    lane.width = width
    goOn()
  }

  private func goOn() {
    while true {
      switch lane.next(at: now) {
      case .ask(let report): begin(report)
      case .wait(let time):
        // Unowned: the timer is this object's own.
        let timer = timer ?? worker.reactor.timer { [unowned self] in goOn() }
        self.timer = timer
        timer.schedule(at: time)
        return tellOfLag()
      case .idle: return tellOfLag()
      }
    }
  }

  private func tellOfLag() {
    if !lags, lane.lag(at: now) > Self.longestLag {
      lags = true
      worker.process.log.warning(
        "a view is told late of the ends of sessions",
        metadata: [
          "route": "\(route.name)", "waiting": .number(lane.count),
          "oldest-ms": .number(Int(lane.lag(at: now) / .milliseconds(1))),
          "hint": "is the view away, or slow? Questions of clients go first",
        ])
    } else if lags, isEmpty {
      lags = false
      worker.process.log.notice(
        "a view was told of all ends of sessions", metadata: ["route": "\(route.name)"])
    }
  }

  // MARK: - One report

  private func begin(_ report: ViewReport) {
    guard case .taken(let place, let records) = report.origin else { return ask(report) }
    let reply = worker.reply { [weak self] (beginning: TakenRecord.Beginning?) in
      guard let self else { return }
      switch beginning ?? .unavailable {
      case .begun: ask(report)
      case .gone:
        lane.withdrawn()
        ledger.remove(report)
        goOn()
      case .unavailable:
        lane.postponed(report, at: now)
        goOn()
      }
    }
    records.begin(place) { reply.give($0) }
  }

  private func ask(_ report: ViewReport) {
    var terms = ViewTerms(asker: report.record.asker)
    terms.lane = .reports
    _ = worker.viewAsker(of: route).ask(report.question(on: route), terms) { [weak self] outcome in
      self?.answered(report, outcome)
    }
  }

  private func answered(_ report: ViewReport, _ outcome: ViewOutcome) {
    switch outcome {
    case .answered(let answer):
      carryOut(answer, of: report.record)
      settled(report)
    // Whoever asks has told of it, and to ask again would bring the same.
    case .refused, .unusable: settled(report)
    case .failed(let failure): failed(report, failure)
    }
  }

  private func settled(_ report: ViewReport) {
    lane.settled()
    ledger.settled(report)
    goOn()
  }

  private func failed(_ report: ViewReport, _ failure: ViewFailure) {
    var report = report
    report.attempts += 1
    lane.failed(report, attempts: report.attempts, retryAfter: failure.retryAfter, at: now)
    ledger.noteFailure()
    goOn()
  }

  private func carryOut(_ answer: ViewAnswer, of record: ViewRecord) {
    let publishing = ViewPublishing(worker, route)
    for action in answer.actions {
      switch action {
      case .publish(let publication): publishing.publish(publication, of: record)
      // It has left all its groups.
      case .leave: break
      case .join, .send, .close:
        publishing.tellNotCarriedOut(action.name, [:], "after the end of a session its view can only publish")
      }
    }
  }
}
