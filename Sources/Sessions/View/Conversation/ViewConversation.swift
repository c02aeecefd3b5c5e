import GatewayConfig
import WebSocketCore

/// What one session and its view have to say to each other: which questions are asked and when, and what is done of the answers.
///
/// A value without a connection, a reactor or a clock. Whoever holds it carries the steps out in their order, and reports what became of
/// them.
struct ViewConversation {
  /// One that was asked and is not answered.
  enum Question: Hashable {
    case connect
    case receive(Int)
  }

  enum Event {
    case began
    /// The view was told by mistake that the session has ended: *connect* is asked once more.
    case mistaken
    case message(ViewQuestion.Message.Payload)
    case answered(Question, ViewOutcome)
    /// What came of a `Step.join`: the session is in the group, or will not be.
    case joined
    /// The time of `Step.wait` is over.
    case timeIsUp
    /// The time of `Step.rest` is over.
    case rested
    /// Others have had their turn since `Step.goOn`.
    case wentOn
    /// The session has ended; nothing reaches the client any more.
    case ended(Ending)
    /// The time is over in which the view is asked about what a client that is gone had sent.
    case lingeredOut
  }

  /// What becomes of messages that the view was not asked about.
  enum Ending: Equatable {
    /// The client had sent them: so many are asked about.
    case asksOn(atMost: Int)
    /// Somebody has ended the session, or its order is broken.
    case drops
    /// It was never open. `wasAsked`: whether something of *connect* was sent.
    case beforeOpen(wasAsked: Bool)
  }

  /// Why messages of a client that is gone are dropped.
  enum Dropping {
    /// There were more than may be left.
    case count
    /// Their time is over.
    case time
    /// The view does not handle them.
    case failure
  }

  enum Step: Equatable {
    case askConnect(isAgain: Bool)
    case ask(Int, [ViewQuestion.Message])
    /// The client is accepted, with the user, the claims and the subprotocol of the answer.
    case admit(ViewAnswer)
    case refuse(HandshakeRefusal)
    /// `joined` is to be reported.
    case join(String)
    case leave(String)
    case send(MessageKind, [UInt8])
    /// - Parameters:
    ///   - joinsLater: whether a later action of the answer joins the group, so that the session must not get the event.
    ///   - leavesLater: whether one leaves it, so that the session must have got the event by then.
    case publish(ViewAnswer.Publication, joinsLater: Bool = false, leavesLater: Bool = false)
    case close(code: UInt16, reason: String)
    /// An answer was carried out, with its new state.
    case finish([UInt8]?)
    /// What was held since *connect* was asked is sent.
    case release
    /// The client is told that messages were not handled.
    case reply(String)
    case end(CloseReason)
    case wait(Duration)
    /// Nothing is to be asked now: `rested` is to be reported after that long, unless something was asked before.
    case rest(Duration)
    case readOn
    /// There is more to be carried out: `wentOn` is to be reported once others had their turn.
    case goOn
    /// The view refuses a session that is open, and that it was told of again: the log tells of it.
    case tellOfRefusal(HandshakeRefusal)
    /// So many messages of a client that is gone are not asked about any more: the log tells of it.
    case tellOfDropped(Int, Dropping)
    /// The session has ended: its *disconnect* is due.
    case report
    /// The view knows nothing of the session.
    case forget
  }

  private enum Phase {
    /// *connect* is to be asked, or was.
    case connecting
    case open
    /// The session has ended, and the view has not been asked about everything.
    case ended
    /// There is nothing more to be done.
    case over
  }

  // Each session has one, so small members stand beside small ones: an order by meaning takes a quarter more.
  var rules: ViewRules
  private var phase = Phase.connecting
  private var isJoining = false
  private var isPausing = false
  /// Nothing is asked any more that was not asked yet.
  private(set) var isDropping = false
  private var isMistaken = false
  private var mayRest = false
  private var patience = ViewPatience()
  /// After how long without a question the view is asked with no message; 0 for never. Seconds.
  private var idleSeconds: UInt32 = 0
  /// Of the last question. Those that are under way are fewer than there are numbers.
  private var lastQuestion: UInt32 = 0
  private var lastNumber: UInt64 = 0
  private var underWay: [Question: [ViewQuestion.Message]] = [:]
  private var bytesUnderWay = 0
  private var waiting = WaitingMessages()
  /// In the order in which they came.
  private var answers: [ViewCarrying] = []

  init(_ rules: ViewRules) {
    self.rules = rules
  }

  /// What there is of a conversation in which nothing is under way.
  struct Rest: Equatable {
    var lastQuestion: UInt32 = 0
    var lastNumber: UInt64 = 0
    var idleSeconds: UInt32 = 0
  }

  /// Goes on with one that another process had.
  init(_ rules: ViewRules, resuming rest: Rest) {
    self.init(rules)
    phase = .open
    (lastQuestion, lastNumber, idleSeconds) = (rest.lastQuestion, rest.lastNumber, rest.idleSeconds)
  }

  /// Nil while something is under way.
  var atRest: Rest? {
    guard isOpen, !isJoining, !isPausing, !isDropping, !isMistaken, !patience.isWaiting, underWay.isEmpty,
      waiting.isEmpty, answers.isEmpty
    else { return nil }
    return Rest(lastQuestion: lastQuestion, lastNumber: lastNumber, idleSeconds: idleSeconds)
  }

  /// Whether the client is not to be read.
  var isHoldingBack: Bool {
    switch phase {
    case .connecting: true
    case .open: !isReleased || waiting.isFull(rules.batch)
    case .ended, .over: false
    }
  }

  /// How long its next question may be asked again.
  var patienceLeft: Duration { patience.left }

  /// The memory of the messages that were not handled, in bytes.
  var heldBytes: Int { waiting.bytes + bytesUnderWay }

  /// Whether the answer to *connect* was carried out.
  private var isReleased: Bool { !answers.contains(where: \.isFirst) }

  private var isOpen: Bool { if case .open = phase { true } else { false } }

  /// Whether there is nothing more to be done.
  var isOver: Bool { if case .over = phase { true } else { false } }

  /// As many actions of an answer are carried out before others may have their turn.
  static let actionsAtOnce = 32

  mutating func next(_ event: Event) -> [Step] {
    var steps: [Step] = []
    let wasHoldingBack = isHoldingBack
    take(event, &steps)
    carryOut(&steps)
    askNext(&steps)
    if case .ended = phase, underWay.isEmpty, waiting.isEmpty, answers.isEmpty {
      phase = .over
      steps.append(.report)
    }
    // A quiet session keeps no memory for what it had to do.
    if underWay.isEmpty { underWay = [:] }
    if answers.isEmpty { answers = [] }
    if wasHoldingBack, !isHoldingBack, isOpen { steps.append(.readOn) }
    rest(&steps)
    return steps
  }

  private mutating func take(_ event: Event, _ steps: inout [Step]) {
    switch (phase, event) {
    case (.over, _): break
    case (.connecting, .began): begin(&steps)
    case (.connecting, .answered(.connect, let outcome)): connected(outcome, &steps)
    case (.connecting, .ended(let ending)): leave(ending, &steps)
    case (.open, .mistaken): isMistaken = rules.asksConnect
    case (.open, .message(let payload)): enqueue(payload)
    case (.open, .answered(let question, let outcome)), (.ended, .answered(let question, let outcome)):
      answered(question, outcome, &steps)
    case (.open, .joined), (.ended, .joined): isJoining = false
    case (_, .wentOn): isPausing = false
    case (_, .timeIsUp): patience.isWaiting = false
    case (.open, .rested): askNothing(&steps)
    case (.open, .ended(let ending)), (.ended, .ended(let ending)): end(ending, &steps)
    case (.ended, .lingeredOut): dropAll(&steps)
    case (_, .began), (_, .mistaken), (_, .message), (_, .answered), (_, .joined), (_, .ended), (_, .rested),
      (_, .lingeredOut):
      break
    }
  }
}

// MARK: - Its beginning and its end

extension ViewConversation {
  private mutating func begin(_ steps: inout [Step]) {
    guard rules.asksConnect else { return admit(ViewAnswer(), &steps) }
    underWay[.connect] = []
    steps.append(.askConnect(isAgain: false))
  }

  private mutating func admit(_ answer: ViewAnswer, _ steps: inout [Step]) {
    phase = .open
    steps.append(.admit(answer))
    answers.append(ViewCarrying(answer, of: .connect, isFirst: true))
  }

  private mutating func connected(_ outcome: ViewOutcome, _ steps: inout [Step]) {
    underWay[.connect] = nil
    switch outcome {
    case .answered(let answer): admit(answer, &steps)
    case .refused(let refusal, let mayHaveRun):
      phase = .over
      steps += [.refuse(refusal), mayHaveRun ? .report : .forget]
    case .unusable(let failure), .failed(let failure):
      phase = .over
      // It was not refused: the view may have let the client in.
      steps += [
        .refuse(HandshakeRefusal(.viewUnavailable(retryAfter: failure.retryAfter))),
        failure.mayHaveRun ? .report : .forget,
      ]
    }
  }

  private mutating func leave(_ ending: Ending, _ steps: inout [Step]) {
    underWay = [:]
    phase = .over
    steps.append(ending == .beforeOpen(wasAsked: true) ? .report : .forget)
  }

  private mutating func end(_ ending: Ending, _ steps: inout [Step]) {
    phase = .ended
    isMistaken = false
    // Whoever waits for the group has gone.
    isJoining = false
    patience.isWaiting = false
    guard case .asksOn(let most) = ending else { return drop() }
    let dropped = waiting.keep(first: most)
    if dropped > 0 { steps.append(.tellOfDropped(dropped, .count)) }
    if most == 0 { drop() }
  }

  private mutating func dropAll(_ steps: inout [Step]) {
    if !waiting.isEmpty { steps.append(.tellOfDropped(waiting.count, .time)) }
    drop()
  }

  private mutating func drop() {
    isDropping = true
    waiting = WaitingMessages()
  }

  /// Ends the session for a fault of its view. What was not asked about is dropped: its order is broken.
  private mutating func end(_ reason: CloseReason, _ steps: inout [Step]) {
    drop()
    answers = []
    isJoining = false
    if isOpen { steps.append(.end(reason)) }
  }
}

// MARK: - Its messages

extension ViewConversation {
  private mutating func enqueue(_ payload: ViewQuestion.Message.Payload) {
    guard rules.asksReceive, !isDropping else { return }
    lastNumber += 1
    waiting.append(ViewQuestion.Message(number: lastNumber, payload: payload))
  }

  private var mayAsk: Bool {
    guard !patience.isWaiting, isReleased else { return false }
    switch phase {
    case .open, .ended: break
    case .connecting, .over: return false
    }
    return rules.isOrdered ? underWay.isEmpty && answers.isEmpty : underWay.count < rules.mostAtOnce
  }

  private mutating func askNext(_ steps: inout [Step]) {
    if isMistaken, underWay.isEmpty, answers.isEmpty, isOpen, !isDropping {
      isMistaken = false
      underWay[.connect] = []
      steps.append(.askConnect(isAgain: true))
    }
    guard underWay[.connect] == nil else { return }
    while mayAsk, !waiting.isEmpty {
      let messages = waiting.take(rules.batch)
      bytesUnderWay += messages.reduce(0) { $0 + $1.memory }
      ask(messages, &steps)
    }
  }

  private mutating func answered(_ question: Question, _ outcome: ViewOutcome, _ steps: inout [Step]) {
    guard let messages = underWay.removeValue(forKey: question) else { return }
    bytesUnderWay -= messages.reduce(0) { $0 + $1.memory }
    switch outcome {
    case .answered(let answer):
      let taken = min(answer.taken ?? messages.count, messages.count)
      if !isDropping { waiting.putBack(messages[taken...]) }
      var carrying = ViewCarrying(answer, of: question)
      carrying.hasTakenNothing = taken == 0 && !messages.isEmpty && !isDropping
      answers.append(carrying)
    // The session was let in once, and lives: what is said of it now cannot take that back.
    case .failed where question == .connect, .unusable where question == .connect: mayRest = true
    case .refused(let refusal, _) where question == .connect:
      mayRest = true
      steps.append(.tellOfRefusal(refusal))
    case .failed(let failure): failed(messages, failure, &steps)
    case .refused, .unusable: end(.viewUnusable, &steps)
    }
  }

  /// What a quiet session is asked about, so that its view hears of it (`Keep-Alive-Interval`).
  private mutating func askNothing(_ steps: inout [Step]) {
    guard idleSeconds > 0, mayAsk, underWay.isEmpty, answers.isEmpty, waiting.isEmpty else { return }
    ask([], &steps)
  }

  private mutating func ask(_ messages: [ViewQuestion.Message], _ steps: inout [Step]) {
    lastQuestion &+= 1
    let number = Int(lastQuestion)
    underWay[.receive(number)] = messages
    steps.append(.ask(number, messages))
  }

  private mutating func rest(_ steps: inout [Step]) {
    guard mayRest, underWay.isEmpty, answers.isEmpty else { return }
    mayRest = false
    if idleSeconds > 0, isOpen { steps.append(.rest(.seconds(idleSeconds))) }
  }

  private mutating func failed(
    _ messages: [ViewQuestion.Message], _ failure: ViewFailure, _ steps: inout [Step]
  ) {
    // Nothing of the client's was lost.
    guard !messages.isEmpty else { return mayRest = true }
    let (isGone, before) = (!isOpen, waiting.count)
    defer {
      // A client that is there is told by the code of the close, or by a reply.
      let dropped = before - waiting.count + (failure.mayHaveRun ? 0 : messages.count)
      if isGone, dropped > 0 { steps.append(.tellOfDropped(dropped, .failure)) }
    }
    let reason = failure.mayHaveRun ? CloseReason.messageUncertain : .messageUnhandled
    switch rules.onFailure {
    case .reply: if isOpen { steps.append(.reply(reason.text)) }
    case .wait where rules.repeatsReceive || !failure.mayHaveRun:
      end(failure.isOfView ? .viewFailing : .viewAway, &steps)
    case .wait, .close: end(reason, &steps)
    }
  }
}

// MARK: - What it answers

extension ViewConversation {
  private mutating func carryOut(_ steps: inout [Step]) {
    var left = Self.actionsAtOnce
    while !isJoining, !isPausing, !answers.isEmpty {
      guard !answers[0].actions.isEmpty else {
        finish(&steps)
        continue
      }
      guard left > 0 else {
        isPausing = true
        return steps.append(.goOn)
      }
      left -= 1
      carryOut(answers[0].actions.removeFirst(), &steps)
    }
  }

  private mutating func carryOut(_ action: ViewAnswer.Action, _ steps: inout [Step]) {
    // The client is gone, and with it whatever was in the groups.
    guard isOpen || action.isPublication else { return }
    switch action {
    case .publish(let publication):
      steps.append(
        .publish(
          publication, joinsLater: answers[0].joinsLater(publication.group),
          leavesLater: answers[0].leavesLater(publication.group)))
    case .join(let group):
      isJoining = true
      steps.append(.join(group))
    case .leave(let group): steps.append(.leave(group))
    case .send(let kind, let bytes): steps.append(.send(kind, bytes))
    case .close(let code, let reason):
      steps += [.finish(answers[0].state), .close(code: code, reason: reason)]
      answers = []
      drop()
    }
  }

  private mutating func finish(_ steps: inout [Step]) {
    let answer = answers.removeFirst()
    steps.append(.finish(answer.state))
    if answer.isFirst { steps.append(.release) }
    mayRest = true
    switch answer.idle {
    case nil: break
    case .silent?: idleSeconds = 0
    case .asked(let time)?: idleSeconds = UInt32(clamping: max(1, time.components.seconds))
    }
    guard answer.isOfReceive else { return }
    guard answer.hasTakenNothing else { return patience = ViewPatience() }
    patience.spend(answer.failedFor)
    // Asked again at once it would be asked without end.
    if let pause = patience.next() {
      steps.append(.wait(pause))
    } else {
      end(.viewAway, &steps)
    }
  }
}

extension ViewAnswer.Action {
  fileprivate var isPublication: Bool { if case .publish = self { true } else { false } }
}
