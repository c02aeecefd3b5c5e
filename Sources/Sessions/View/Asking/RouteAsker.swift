import GatewayConfig
import Transport

/// Asks the view of one route, from one worker. Confined to its reactor.
final class RouteAsker: ViewAsker {
  let view: RouteView
  // Unowned: the worker lives while its reactor runs.
  private unowned let worker: WorkerSessions
  private let links: HTTPLinks
  private var questions: [Int: AskedQuestion] = [:]
  private var lastTicket = 0
  /// Whether a caller of `ask` has not got its ticket yet: what ends meanwhile is told at the end of the turn.
  private var isTaking = false
  private var ended: [(AskedQuestion, ViewOutcome)] = []
  /// Looks whose turn it is.
  private var turns: Timer?
  /// Looks whose patience is over.
  private var watch: Timer?
  /// Whether nothing but ends of sessions is asked any more.
  private var isEnding = false

  init(_ view: RouteView, of worker: WorkerSessions) {
    self.view = view
    self.worker = worker
    links = HTTPLinks(view.links, of: worker)
    guard let post = worker.post else { return }
    // Weak: the gate is the view's own.
    view.gate.seat(worker.number) { [weak view] call in
      view.map { post(.viewCalled(ViewCall(view: $0, call: call))) } ?? false
    }
  }

  deinit {
    turns?.cancel()
    watch?.cancel()
  }

  var isIdle: Bool { questions.isEmpty }

  private var now: MonotonicTime { worker.reactor.now }

  func ask(
    _ question: ViewQuestion, _ terms: ViewTerms, _ completed: @escaping (ViewOutcome) -> Void
  ) -> Int {
    lastTicket += 1
    let asked = AskedQuestion(
      question, terms, ticket: lastTicket, made: WallClock.secondsSinceEpoch, at: now, completed)
    questions[asked.ticket] = asked
    isTaking = true
    enter(asked)
    isTaking = false
    return asked.ticket
  }

  @discardableResult
  func forget(_ ticket: Int, _ over: (() -> Void)?) -> Bool {
    guard let asked = questions[ticket], !asked.isForgotten else { return false }
    asked.isForgotten = true
    let hasBeenSent = asked.hasBeenSent
    if hasBeenSent { asked.over = over }
    switch asked.state {
    case .waiting:
      remove(asked)
      // If it was called already, the call finds nobody.
      _ = view.gate.forget(id(of: asked))
    case .pausing(let timer):
      timer.cancel()
      remove(asked)
    case .asking(let link?) where !link.hasSent:
      link.abandon()
      remove(asked)
      leave(asked, .unasked)
    // What the view does takes up its place until it has answered.
    case .asking: break
    case .over: remove(asked)
    }
    return hasBeenSent
  }

  /// It asks for no route that is served; what is under way goes on.
  func retire() { links.retire() }

  private func remove(_ asked: AskedQuestion) {
    asked.state = .over
    questions[asked.ticket] = nil
    let over = asked.over
    asked.over = nil
    over?()
  }
}

// MARK: - Whose turn it is

extension RouteAsker {
  private func id(of asked: AskedQuestion) -> ViewQueue.ID {
    ViewQueue.ID(worker: worker.number, ticket: asked.ticket)
  }

  private func enter(_ asked: AskedQuestion) {
    guard !isGivenUp(asked) else { return tell(asked, giveUp(asked)) }
    asked.state = .waiting
    let entry = ViewQueue.Entry(
      id: id(of: asked), lane: asked.terms.lane, asker: asked.terms.asker, isRefusable: asked.isRefusable,
      isComing: asked.isComing)
    let (verdict, turn) = view.gate.enter(entry, at: now)
    switch verdict {
    case .go: start(asked)
    case .waits: beginWatch()
    case .viewIsAway: refuse(asked)
    }
    follow(turn)
  }

  private func leave(_ asked: AskedQuestion, _ ending: ViewQueue.Ending, _ fault: AnswerFault? = nil) {
    let turn = view.gate.leave(id(of: asked), asked.terms.lane, ending, at: now)
    view.reports.tell(turn.change, fault, of: asked.question)
    follow(turn)
  }

  private func follow(_ turn: ViewGate.Turn) {
    for call in turn.calls { called(call) }
    guard let next = turn.next else { return }
    // Unowned: the end of the asker cancels it.
    let timer = turns ?? worker.reactor.timer { [unowned self] in look() }
    turns = timer
    timer.schedule(at: next)
  }

  private func look() { follow(view.gate.look(worker.number, at: now)) }

  /// The wait of a question is over.
  func called(_ call: ViewQueue.Call) {
    let asked = questions[call.id.ticket].flatMap { $0.isWaiting ? $0 : nil }
    switch (call.verdict, asked) {
    case (.go, let asked?) where isGivenUp(asked):
      leave(asked, .unasked)
      tell(asked, giveUp(asked))
    case (.go, let asked?): start(asked)
    // It was forgotten while the call was on its way.
    case (.go, nil): follow(view.gate.leave(call.id, call.lane, .unasked, at: now))
    case (_, let asked?): refuse(asked)
    case (_, nil): break
    }
  }

  private func refuse(_ asked: AskedQuestion) {
    tell(
      asked,
      .failed(
        ViewFailure(
          reason: "the view does not answer, and is asked once a second",
          mayHaveRun: asked.retries.mayHaveRun,
          retryAfter: ViewCircuit.pause)))
  }

  // MARK: - Patience

  private func beginWatch() { if watch == nil { watch(after: ViewCircuit.pause) } }

  private func watch(after time: Duration) {
    watch?.cancel()
    // Unowned: the end of the asker cancels it.
    let timer = worker.reactor.timer { [unowned self] in lookAtResting() }
    watch = timer
    timer.schedule(after: time)
  }

  /// Those that wait for a view that answers nobody are given up with the time for asking again, although they were never asked; towards
  /// the end of a stop, all that clients wait for.
  private func lookAtResting() {
    watch = nil
    let resting = questions.values.filter { $0.isWaiting || isEnding && $0.isResting }
    let openSince = view.gate.openSince
    for asked in resting where isGivenUp(asked) || isOutOfPatience(asked, openSince) {
      // Each may close a session.
      guard worker.reactor.hasTimeLeft() else { return watch(after: .zero) }
      stopWaiting(asked)
    }
    if questions.values.contains(where: \.isWaiting) { beginWatch() }
  }

  /// Whether a stop has no time left for it.
  private func isGivenUp(_ asked: AskedQuestion) -> Bool { isEnding && asked.terms.lane == .clients }

  private func isOutOfPatience(_ asked: AskedQuestion, _ openSince: MonotonicTime?) -> Bool {
    // What it has waited while the view had others to answer does not count.
    guard asked.isWaiting, let openSince else { return false }
    return now.since(max(openSince, asked.askedAt)) > asked.terms.patience
  }

  private func giveUp(_ asked: AskedQuestion) -> ViewOutcome {
    let reason = isGivenUp(asked) ? "the gateway stops" : "the view does not answer"
    return .failed(ViewFailure(reason: reason, mayHaveRun: asked.retries.mayHaveRun))
  }

  private func stopWaiting(_ asked: AskedQuestion) {
    switch asked.state {
    // If it was called already, its turn has come.
    case .waiting: guard view.gate.forget(id(of: asked)) else { return }
    case .pausing(let timer): timer.cancel()
    case .asking, .over: return
    }
    tell(asked, giveUp(asked))
  }

  /// A stop leaves the rest of its time to the ends of sessions: what clients wait for is not asked any more.
  func askReportsOnly() {
    isEnding = true
    view.gate.end()
    lookAtResting()
    look()
  }
}

// MARK: - Attempts

extension RouteAsker {
  private func start(_ asked: AskedQuestion) {
    asked.attempts += 1
    asked.state = .asking(nil)
    let attempt = ViewAttempt(
      number: asked.question.earlierAttempts + asked.attempts, made: asked.made,
      time: Int64(WallClock.secondsSinceEpoch))
    var request = view.wire.request(for: asked.question, attempt)
    let size = request.body.count
    guard let text = PostText(request)?.bytes else { return cannotWrite(asked) }
    request.body = []
    let link = links.ask(
      text, isFresh: asked.wantsFresh, within: view.configuration.question.timeout
    ) { [self, request] outcome in
      ended(asked, outcome, request, size: size)
    }
    if case .asking(nil) = asked.state { asked.state = .asking(link) }
  }

  /// No attempt could be sent.
  private func cannotWrite(_ asked: AskedQuestion) {
    asked.state = .over
    leave(asked, .unasked)
    let fault = AnswerFault(reason: "a field of the question would be more than one line")
    view.reports.tellUnusable(fault, of: asked.question)
    tell(asked, .unusable(asked.retries.noting(ViewFailure(reason: fault.reason, mayHaveRun: false))))
  }

  private func ended(
    _ asked: AskedQuestion, _ outcome: Result<UpstreamFetcher.Answer, HTTPFault>, _ request: ViewRequest,
    size: Int
  ) {
    switch outcome {
    case .success(let answer):
      asked.wasSent = true
      let verdict = ViewVerdict(answer, to: asked.question, request, size: size, of: view)
      answered(asked, verdict, isAway: ViewVerdict.isAway(answer), isOfOthers: answer.isOfOthers)
    case .failure(let fault):
      asked.wasSent = asked.wasSent || fault.isSent
      if fault.isOfKept, !fault.isOwn, asked.terms.repeating == .always, !asked.wantsFresh, !asked.isForgotten
      {
        asked.wantsFresh = true
        _ = asked.retries.noting(ViewFailure(reason: fault.reason, mayHaveRun: fault.isSent))
        return start(asked)
      }
      asked.state = .over
      leave(
        asked, fault.isOwn ? .unasked : .failed, AnswerFault(reason: fault.reason, hint: fault.hint))
      end(asked, ViewFailure(reason: fault.reason, mayHaveRun: fault.isSent))
    }
  }

  private func answered(
    _ asked: AskedQuestion, _ verdict: ViewVerdict, isAway: Bool, isOfOthers: Bool
  ) {
    asked.state = .over
    switch verdict {
    case .answered(let answer):
      leave(asked, .answered)
      view.reports.believed()
      var answer = answer
      answer.failedFor = asked.retries.firstFailure.map { now.since($0) } ?? .zero
      tell(asked, .answered(answer))
    case .refused(let refusal):
      leave(asked, .answered)
      if refusal.status == 401, !view.configuration.secrets.isEmpty {
        view.reports.tellOfDoubt(of: asked.question)
      }
      tell(asked, .refused(refusal, mayHaveRun: asked.retries.mayHaveRun))
    case .unusable(let fault): unusable(asked, fault, mayHaveRun: true, isOfView: !isOfOthers)
    case .unheard(let fault): unusable(asked, fault, mayHaveRun: false, isOfView: false)
    case .notHandled(let fault, let after):
      note(fault, of: asked, isAway: isAway)
      end(
        asked, ViewFailure(reason: fault.reason, mayHaveRun: false, retryAfter: after), isAnswered: true)
    case .broken(let fault):
      note(fault, of: asked, isAway: isAway)
      end(
        asked, ViewFailure(reason: fault.reason, mayHaveRun: true, isOfView: !isAway), isAnswered: true)
    }
  }

  /// - Parameter isOfView: whether it is the view itself that has answered.
  private func unusable(_ asked: AskedQuestion, _ fault: AnswerFault, mayHaveRun: Bool, isOfView: Bool) {
    leave(asked, .answered)
    view.reports.tellUnusable(fault, of: asked.question)
    let failure = asked.retries.noting(ViewFailure(reason: fault.reason, mayHaveRun: mayHaveRun))
    // A report is kept until the view itself has answered.
    tell(asked, !isOfView && asked.terms.lane == .reports ? .failed(failure) : .unusable(failure))
  }

  private func note(_ fault: AnswerFault, of asked: AskedQuestion, isAway: Bool) {
    guard !isAway else { return leave(asked, .failed, fault) }
    leave(asked, .answered)
    view.reports.tellUnusable(fault, of: asked.question)
  }

  /// An attempt has failed: the question is asked again, or that is what came of it.
  ///
  /// - Parameter isAnswered: whether the server has said so.
  private func end(_ asked: AskedQuestion, _ failure: ViewFailure, isAnswered: Bool = false) {
    guard !asked.isForgotten else { return remove(asked) }
    let failure = asked.retries.noting(failure)
    // A client that connects gets an answer while the server can give one.
    if isAnswered, asked.isRefusable, asked.question.isConnect { return tell(asked, .unusable(failure)) }
    let random = Double.random(in: 0...1)
    guard !isGivenUp(asked), let pause = asked.retries.pause(after: failure, at: now, random: random) else {
      return tell(asked, .failed(failure))
    }
    // Unowned: the end of the question cancels it.
    let timer = worker.reactor.timer { [unowned self, unowned asked] in enter(asked) }
    timer.schedule(after: pause)
    asked.state = .pausing(timer)
  }

  private func tell(_ asked: AskedQuestion, _ outcome: ViewOutcome) {
    guard isTaking else {
      remove(asked)
      if !asked.isForgotten { asked.completed(outcome) }
      return
    }
    asked.state = .over
    ended.append((asked, outcome))
    worker.reactor.atEndOfTurn(self)
  }
}

extension RouteAsker: EndOfTurn {
  func endOfTurn() {
    let ended = ended
    self.ended = []
    for (asked, outcome) in ended {
      remove(asked)
      if !asked.isForgotten { asked.completed(outcome) }
    }
  }
}
