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

  /// - Parameter isOver: whether more wait than there is room for.
  func add(_ report: ViewReport, on route: SessionRoute, isOver: Bool) {
    self[route].add(report, isOver: isOver)
  }

  /// A stop waits for them.
  func hurry() {
    for reports in routes.values { reports.hurry() }
  }

  private subscript(route: SessionRoute) -> RouteReports {
    if let known = routes[route.name] { return known }
    let reports = RouteReports(route, worker)
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
  private let pace = SharedLogPace(most: 2)

  /// Reports that wait for longer are told of in the log.
  private static let longestLag = Duration.seconds(30)

  init(_ route: SessionRoute, _ worker: WorkerSessions) {
    self.route = route
    self.worker = worker
    // Questions that clients wait for need the others.
    lane = ReportLane(width: (route.configuration.consumer.view?.inFlight ?? 1) / 4)
  }

  deinit { timer?.cancel() }

  private var ledger: ViewLedger { worker.process.views }
  private var now: MonotonicTime { worker.reactor.now }

  var isEmpty: Bool { lane.count == 0 }

  func serve(_ route: SessionRoute) {
    self.route = route
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

  func add(_ report: ViewReport, isOver: Bool) {
    lane.add(report, at: now)
    if isOver, let oldest = lane.removeOldest() { ledger.gaveUp(oldest, on: route) }
    goOn()
  }

  func hurry() {
    lane.hurry(at: now)
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
          "route": "\(route.name)", "waiting": "\(lane.count)", "oldest": "\(lane.lag(at: now))",
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
      case .unavailable: failed(report, nil)
      }
    }
    records.begin(place) { reply.give($0) }
  }

  private func ask(_ report: ViewReport) {
    var terms = ViewTerms(asker: report.asker)
    terms.lane = .reports
    _ = worker.viewAsker(of: route).ask(report.question, terms) { [weak self] outcome in
      self?.answered(report, outcome)
    }
  }

  private func answered(_ report: ViewReport, _ outcome: ViewOutcome) {
    switch outcome {
    case .answered(let answer):
      carryOut(answer, of: report.record)
      settled(report)
    case .refused(let refusal, _):
      tellOfFinal("the view answers with \(refusal.status)")
      settled(report)
    case .unusable(let failure):
      tellOfFinal(failure.reason)
      settled(report)
    case .failed(let failure): failed(report, failure)
    }
  }

  private func settled(_ report: ViewReport) {
    lane.settled()
    ledger.settled(report, on: route)
    goOn()
  }

  private func failed(_ report: ViewReport, _ failure: ViewFailure?) {
    var report = report
    report.attempts += 1
    lane.failed(report, attempts: report.attempts, retryAfter: failure?.retryAfter, at: now)
    goOn()
  }

  private func tellOfFinal(_ reason: String) {
    worker.process.log.log(
      "a view was told of the end of a session, and does not take it", at: .warning, paced: pace,
      ["route": "\(route.name)", "reason": "\(reason)"])
  }

  // MARK: - Its answer

  private func carryOut(_ answer: ViewAnswer, of record: ViewRecord) {
    for action in answer.actions {
      guard case .publish(let publication) = action else {
        tellOfFault("after the end of a session its view can only publish")
        continue
      }
      guard
        record.groups.contains(publication.group) || route.groups?.fromView?.admits(publication.group) == true
      else {
        tellOfFault(
          "the answer publishes to a group that is neither the session's nor among those of \"groups_from_view\""
        )
        continue
      }
      worker.end(of: route.layer)?.publish(publication.addressed(from: record.address), to: publication.group)
      {
        [route, worker, pace] published in
        guard let reason = published.undelivered else { return }
        worker.process.log.log(
          "what a view publishes was not delivered", at: .warning, paced: pace,
          ["route": "\(route.name)", "reason": "\(reason.rawValue)"])
      }
    }
  }

  private func tellOfFault(_ reason: String) {
    worker.process.log.log(
      "an answer of a view was carried out in part", at: .warning, paced: pace,
      ["route": "\(route.name)", "event": "disconnect", "reason": "\(reason)"])
  }
}
