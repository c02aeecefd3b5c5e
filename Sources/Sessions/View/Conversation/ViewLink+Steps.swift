import Bytes
import Consumers
import GatewayConfig
import Logging
import Transport
import WebSocketCore

// What a session's conversation with its view asks for.

extension ViewLink {
  func carryOut(_ step: ViewConversation.Step) {
    guard !isTurnedAway || step == .report || step == .forget || step == .goOn else { return }
    switch step {
    case .askConnect(let isAgain): askConnect(isAgain: isAgain)
    case .ask(let number, let messages): ask(number, messages)
    case .admit(let answer): admit(answer)
    case .refuse(let refusal): refuse(refusal)
    case .join(let group): join(group)
    case .leave(let group): leave(group)
    case .send(let kind, let bytes): session?.send(kind, bytes.rawBytes)
    case .publish(let publication, let joinsLater, let leavesLater):
      publish(publication, joinsLater: joinsLater, leavesLater: leavesLater)
    case .close(let code, let reason): session?.close(CloseCode(rawValue: code), text: reason)
    case .finish(let state): finish(state)
    case .release: release()
    case .reply(let reason): session?.refuse(reason)
    case .end(let reason): end(reason)
    case .wait(let time): wait(time)
    case .rest(let time): rest(time)
    case .readOn: session?.readOn()
    case .goOn: goOn()
    case .tellOfRefusal(let refusal): tell(of: refusal)
    case .tellOfDropped(let count, let dropping): tellOfDropped(count, dropping)
    case .report: report()
    case .forget: forget()
    }
  }

  private func askConnect(isAgain: Bool) {
    // The fields of the client's request are not kept for longer than the first question.
    let details = entrance?.details ?? ViewQuestion.ConnectDetails(subprotocols: offered)
    var terms = terms
    terms.patience = entrance?.patience ?? ViewPatience.total
    let ticket = ask(.connect(details, isAgain: isAgain), terms, as: .connect)
    entrance?.ticket = ticket
  }

  private func ask(_ number: Int, _ messages: [ViewQuestion.Message]) {
    var terms = terms
    let rules = conversation.rules
    terms.repeating = rules.repeatsReceive ? .always : .unsent
    terms.patience = rules.onFailure == .wait ? conversation.patienceLeft : .zero
    ask(.receive(messages), terms, as: .receive(number))
  }

  private var terms: ViewTerms { ViewTerms(asker: record.asker) }

  @discardableResult
  private func ask(
    _ event: ViewQuestion.Event, _ terms: ViewTerms, as question: ViewConversation.Question
  ) -> Int {
    let question = (question, ViewQuestion(id: ViewQuestionID.next(), event: event, session: known))
    // Kept until the answer comes: the session may be gone by then.
    return asker.ask(question.1, terms) { [self] outcome in
      tellOfPassedOver(outcome)
      handle(.answered(question.0, outcome))
    }
  }

  private func admit(_ answer: ViewAnswer) {
    guard let entrance else { return }
    self.entrance = nil
    record.identify(as: answer.user, claims: answer.claims)
    isChanged = isChanged || answer.user != nil || answer.claims != nil
    guard !entrance.completed(.success(answer)) else { return noteChange() }
    isTurnedAway = true
    dropWaiting()
    sessionEnds()
  }

  private func refuse(_ refusal: HandshakeRefusal) {
    guard let entrance else { return }
    self.entrance = nil
    _ = entrance.completed(.failure(refusal))
  }

  /// The client is not let in because of something else than the view's answer.
  func refuseOpening(_ refusal: HandshakeRefusal) {
    _ = entrance?.completed(.failure(refusal))
  }

  private func finish(_ state: [UInt8]?) {
    guard let state else { return }
    let new = state == Self.null ? nil : state
    guard new != record.state else { return }
    record.state = new
    isChanged = true
    noteChange()
  }

  private static let null = Array("null".utf8)

  private func release() {
    guard let session, let held else { return }
    activity?.held = nil
    session.release(held)
  }

  private func end(_ reason: CloseReason) {
    guard let session else { return }
    if let level = reason.level {
      worker.process.log.log(
        "a view did not handle a message: its session ends", at: level, paced: worker.process.viewPace,
        [
          "route": "\(route.name)", "code": "\(reason.code.rawValue)", "reason": "\(reason.text)",
          "address": "\(record.address)",
        ])
    }
    session.close(reason)
  }

  private func wait(_ time: Duration) {
    // Those of many sessions do not come together.
    handle(.timeIsUp, after: time * Double.random(in: 0.75...1.25), by: \.pause)
  }

  func rest(_ time: Duration) {
    handle(.rested, after: time, by: \.rest)
  }

  /// Goes on with a long answer, at once or in another turn.
  private func goOn() {
    guard !worker.reactor.hasTimeLeft() else { return handle(.wentOn) }
    handle(.wentOn, after: .zero, by: \.turn)
  }

  /// - Parameter timer: set anew where it is set already.
  private func handle(
    _ event: ViewConversation.Event, after time: Duration,
    by timer: ReferenceWritableKeyPath<ViewActivity, Timer?>
  ) {
    let activity = makeActivity()
    let waiting =
      activity[keyPath: timer]
      ?? worker.reactor.timer { [weak self] in
        self?.activity?[keyPath: timer] = nil
        self?.handle(event)
      }
    activity[keyPath: timer] = waiting
    waiting.schedule(after: time)
  }

  private func tell(of refusal: HandshakeRefusal) {
    worker.process.log.log(
      "a view refuses a session that is open, and that it was told of again: the session goes on",
      at: .warning, paced: worker.process.viewPace,
      ["route": "\(route.name)", "status": "\(refusal.status)"])
  }

  private func tellOfDropped(_ count: Int, _ dropping: ViewConversation.Dropping) {
    // A stop may do so to thousands of sessions: it tells of all together.
    guard !worker.endedViews.isOver else { return worker.process.views.dropped(count, of: record) }
    let reason =
      switch dropping {
      case .count: "a client that is gone is asked about \(EndedViews.mostMessages) messages at most"
      case .time: "a client that is gone is asked about for \(EndedViews.patience.written)"
      case .failure: "the view does not handle them"
      }
    worker.process.log.log(
      "messages of a client that is gone were dropped: its view was not asked about them", at: .warning,
      paced: worker.process.viewPace,
      [
        "route": "\(route.name)", "messages": .number(count), "reason": "\(reason)",
        "hint": "batch: brings more messages in one question",
      ])
  }

  /// Some of what other gateways do for a view is not done.
  private func tellOfPassedOver(_ outcome: ViewOutcome) {
    guard case .answered(let answer) = outcome else { return }
    for reason in answer.passedOver {
      worker.process.log.log(
        "a part of a view's answer was passed over", at: .warning, paced: worker.process.viewPace,
        ["route": "\(route.name)", "reason": "\(reason)"])
    }
  }
}
