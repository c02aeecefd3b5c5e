import ChannelLayers
import GatewayConfig
import JSON
import Testing
import WebSocketCore

@testable import Sessions

private typealias Step = ViewConversation.Step
private typealias Event = ViewConversation.Event

private func message(_ number: UInt64, _ text: String = "x") -> ViewQuestion.Message {
  ViewQuestion.Message(number: number, payload: .text(Array(text.utf8)))
}

private func said(_ text: String = "x") -> Event { .message(.text(Array(text.utf8))) }

private func answer(
  _ actions: [ViewAnswer.Action] = [], taken: Int? = nil, state: String? = nil
) -> ViewAnswer {
  var answer = ViewAnswer()
  answer.actions = actions
  answer.taken = taken
  answer.state = state.map { Array($0.utf8) }
  return answer
}

private func connected(_ actions: [ViewAnswer.Action] = [], state: String? = nil) -> Event {
  .answered(.connect, .answered(answer(actions, state: state)))
}

private func received(
  _ question: Int, _ actions: [ViewAnswer.Action] = [], taken: Int? = nil, state: String? = nil
) -> Event {
  .answered(.receive(question), .answered(answer(actions, taken: taken, state: state)))
}

private func failed(_ question: Int, mayHaveRun: Bool) -> Event {
  .answered(.receive(question), .failed(ViewFailure(reason: "away", mayHaveRun: mayHaveRun)))
}

private let hello = ViewAnswer.Action.send(.text, Array("hello".utf8))
private let sentHello = Step.send(.text, Array("hello".utf8))

private func publication(_ group: String) -> ViewAnswer.Publication {
  ViewAnswer.Publication(group: group, event: ChannelLayers.Event(type: "chat.message"))
}

/// A conversation whose client was let in.
private func open(_ change: (inout ViewRules) -> Void = { _ in }) -> ViewConversation {
  var rules = ViewRules()
  change(&rules)
  var conversation = ViewConversation(rules)
  _ = conversation.next(.began)
  _ = conversation.next(connected())
  return conversation
}

@Suite struct ViewConversationTests {
  // MARK: - Quiet sessions

  private static func idle(_ idle: ViewAnswer.Idle?) -> ViewOutcome {
    var answer = ViewAnswer()
    answer.idle = idle
    return .answered(answer)
  }

  @Test func `a view that wants it is asked about a quiet session, until it wants it no more`() {
    var conversation = open()
    _ = conversation.next(said())
    let wanted = Event.answered(.receive(1), Self.idle(.asked(after: .seconds(120))))
    #expect(conversation.next(wanted).last == .rest(.seconds(120)))
    #expect(conversation.next(.rested) == [.ask(2, [])])
    #expect(conversation.next(said("y")) == [])
    // What has come meanwhile is asked about, and then it rests again.
    #expect(conversation.next(received(2)) == [.finish(nil), .ask(3, [message(2, "y")]), .readOn])
    #expect(conversation.next(.rested) == [])
    #expect(conversation.next(received(3)) == [.finish(nil), .rest(.seconds(120))])
    #expect(conversation.next(.rested) == [.ask(4, [])])
    #expect(conversation.next(failed(4, mayHaveRun: true)) == [.rest(.seconds(120))])
    #expect(conversation.next(.rested) == [.ask(5, [])])
    #expect(conversation.next(.answered(.receive(5), Self.idle(.silent))) == [.finish(nil)])
    #expect(conversation.next(.rested) == [])
  }

  @Test func `a session that has ended rests no more`() {
    var conversation = open()
    _ = conversation.next(said())
    _ = conversation.next(.answered(.receive(1), Self.idle(.asked(after: .seconds(120)))))
    #expect(conversation.next(.rested) == [.ask(2, [])])
    #expect(conversation.next(.ended(.asksOn(atMost: 1000))) == [])
    #expect(conversation.next(received(2)) == [.finish(nil), .report])
    #expect(conversation.next(.rested) == [])
  }

  // MARK: - connect

  @Test func `a client is let in, told what the view says, then what was held, and then it is read`() {
    var conversation = ViewConversation(ViewRules())
    #expect(conversation.isHoldingBack)
    #expect(conversation.next(.began) == [.askConnect(isAgain: false)])
    #expect(
      conversation.next(connected([hello], state: "1")) == [
        .admit(answer([hello], state: "1")), sentHello, .finish(Array("1".utf8)), .release, .readOn,
      ])
    #expect(!conversation.isHoldingBack)
  }

  @Test func `a route that does not ask connect lets in at once`() {
    var rules = ViewRules()
    rules.asksConnect = false
    var conversation = ViewConversation(rules)
    #expect(conversation.next(.began) == [.admit(ViewAnswer()), .finish(nil), .release, .readOn])
  }

  @Test func `a refused client that the view may have let in at an earlier attempt is reported`() {
    var conversation = ViewConversation(ViewRules())
    _ = conversation.next(.began)
    let refusal = HandshakeRefusal(.forbiddenByCallback)
    let outcome = ViewOutcome.refused(refusal, mayHaveRun: true)
    #expect(conversation.next(.answered(.connect, outcome)) == [.refuse(refusal), .report])
  }

  @Test func `a view that fails at first and then takes nothing has one time for both`() {
    var conversation = open()
    _ = conversation.next(said())
    #expect(conversation.patienceLeft == .seconds(30))
    var nothing = answer(taken: 0)
    nothing.failedFor = .seconds(20)
    #expect(
      conversation.next(.answered(.receive(1), .answered(nothing))).last == .wait(.milliseconds(250)))
    #expect(conversation.patienceLeft == .milliseconds(9750))
    _ = conversation.next(.timeIsUp)
    nothing.failedFor = .seconds(10)
    #expect(conversation.next(.answered(.receive(2), .answered(nothing))).contains(.end(.viewAway)))
  }

  @Test func `a refused client leaves nothing behind`() {
    var conversation = ViewConversation(ViewRules())
    _ = conversation.next(.began)
    let refusal = HandshakeRefusal(.forbiddenByCallback)
    #expect(conversation.next(.answered(.connect, .refused(refusal))) == [.refuse(refusal), .forget])
    #expect(conversation.next(.ended(.asksOn(atMost: 1000))) == [])
  }

  @Test(arguments: [true, false])
  func `a client whose question has no answer is told to come later, and its end if the view may have run`(
    mayHaveRun: Bool
  ) {
    var conversation = ViewConversation(ViewRules())
    _ = conversation.next(.began)
    let failure = ViewFailure(reason: "away", mayHaveRun: mayHaveRun, retryAfter: .seconds(2))
    #expect(
      conversation.next(.answered(.connect, .failed(failure))) == [
        .refuse(HandshakeRefusal(.viewUnavailable(retryAfter: .seconds(2)))), mayHaveRun ? .report : .forget,
      ])
  }

  @Test(arguments: [true, false])
  func `a client that leaves before the answer is reported if it was asked about`(wasAsked: Bool) {
    var conversation = ViewConversation(ViewRules())
    _ = conversation.next(.began)
    #expect(conversation.next(.ended(.beforeOpen(wasAsked: wasAsked))) == [wasAsked ? .report : .forget])
    #expect(conversation.next(connected()) == [])
  }

  @Test func `what was held waits for the groups that the view joins`() {
    var conversation = ViewConversation(ViewRules())
    _ = conversation.next(.began)
    let first = conversation.next(connected([.join("room"), hello]))
    #expect(first.last == .join("room"))
    #expect(conversation.isHoldingBack)
    #expect(conversation.next(.joined) == [sentHello, .finish(nil), .release, .readOn])
  }

  // MARK: - receive

  @Test func `one question is under way, and the next brings what came meanwhile`() {
    var conversation = open { $0.batch = 3 }
    #expect(conversation.next(said()) == [.ask(1, [message(1)])])
    #expect(conversation.next(said()) == [])
    #expect(conversation.next(said()) == [])
    #expect(!conversation.isHoldingBack)
    #expect(conversation.next(said()) == [])
    #expect(conversation.isHoldingBack)
    let step = Step.ask(2, [message(2), message(3), message(4)])
    #expect(conversation.next(received(1, [hello])) == [sentHello, .finish(nil), step, .readOn])
  }

  @Test func `a client that sends faster than its view answers is not read`() {
    var conversation = open()
    #expect(conversation.next(said()) == [.ask(1, [message(1)])])
    #expect(!conversation.isHoldingBack)
    _ = conversation.next(said())
    #expect(conversation.isHoldingBack)
    #expect(conversation.next(received(1)) == [.finish(nil), .ask(2, [message(2)]), .readOn])
  }

  @Test func `a question holds at most 2 MiB`() {
    var conversation = open { $0.batch = 10 }
    let long = String(repeating: "a", count: 1_500_000)
    _ = conversation.next(said())
    _ = conversation.next(said(long))
    _ = conversation.next(said(long))
    #expect(conversation.isHoldingBack)
    #expect(conversation.next(received(1)) == [.finish(nil), .ask(2, [message(2, long)]), .readOn])
    #expect(conversation.heldBytes > 3_000_000)
    #expect(conversation.next(received(2)) == [.finish(nil), .ask(3, [message(3, long)])])
    #expect(conversation.next(received(3)) == [.finish(nil)])
    #expect(conversation.heldBytes == 0)
  }

  @Test func `quotes and control characters count as they are written`() {
    var conversation = open { $0.batch = 10 }
    let quotes = String(repeating: "\"", count: 700_000)
    for text in ["x", quotes, quotes] { _ = conversation.next(said(text)) }
    #expect(conversation.next(received(1)) == [.finish(nil), .ask(2, [message(2, quotes)])])
  }

  @Test func `messages that were not taken come again first`() {
    var conversation = open { $0.batch = 2 }
    for _ in 1...3 { _ = conversation.next(said()) }
    #expect(conversation.next(received(1)) == [.finish(nil), .ask(2, [message(2), message(3)]), .readOn])
    _ = conversation.next(said())
    #expect(
      conversation.next(received(2, taken: 1)) == [.finish(nil), .ask(3, [message(3), message(4)])])
  }

  @Test func `a view that takes nothing is asked again with pauses, and given up after 30 s`() {
    var conversation = open()
    _ = conversation.next(said())
    var (pauses, question) = (Duration.zero, 1)
    while true {
      let steps = conversation.next(received(question, taken: 0))
      guard case .wait(let pause) = steps.last else {
        #expect(steps == [.finish(nil), .end(.viewAway)])
        break
      }
      pauses += pause
      question += 1
      #expect(conversation.next(.timeIsUp) == [.ask(question, [message(1)]), .readOn])
    }
    #expect((Duration.seconds(30)...Duration.seconds(40)).contains(pauses))
  }

  @Test func `without an order a slow answer holds up none of the next eight`() {
    var conversation = open { $0.isOrdered = false }
    for number in 1...8 {
      #expect(conversation.next(said()) == [.ask(number, [message(UInt64(number))])])
    }
    #expect(conversation.next(said()) == [])
    #expect(conversation.isHoldingBack)
    #expect(
      conversation.next(received(5, [hello])) == [sentHello, .finish(nil), .ask(9, [message(9)]), .readOn])
  }

  @Test func `a route that does not ask about messages drops them`() {
    var conversation = open { $0.asksReceive = false }
    #expect(conversation.next(said()) == [])
  }

  // MARK: - Failures

  /// What becomes of a session whose question has no answer.
  @Test(arguments: [
    (ViewRules.onFailure(.wait), false, Step.end(.viewAway)),
    (ViewRules.onFailure(.wait), true, .end(.messageUncertain)),
    (ViewRules.onFailure(.wait, repeats: true), true, .end(.viewAway)),
    (ViewRules.onFailure(.close), false, .end(.messageUnhandled)),
    (ViewRules.onFailure(.close), true, .end(.messageUncertain)),
    // It was asked once, although it might be repeated.
    (ViewRules.onFailure(.close, repeats: true), true, .end(.messageUncertain)),
    (ViewRules.onFailure(.reply, repeats: true), true, .reply("a message may not have been handled")),
    (ViewRules.onFailure(.reply), false, .reply("a message was not handled")),
    (ViewRules.onFailure(.reply), true, .reply("a message may not have been handled")),
  ])
  private func `a question without an answer`(rules: ViewRules, mayHaveRun: Bool, step: Step) {
    var conversation = open { $0 = rules }
    _ = conversation.next(said())
    #expect(conversation.next(failed(1, mayHaveRun: mayHaveRun)) == [step])
  }

  @Test func `a view that answers each attempt with an error is not said to be silent`() {
    var conversation = open { $0 = .onFailure(.wait, repeats: true) }
    _ = conversation.next(said())
    let failure = ViewFailure(reason: "the server answered 500", mayHaveRun: true, isOfView: true)
    #expect(conversation.next(.answered(.receive(1), .failed(failure))) == [.end(.viewFailing)])
  }

  @Test func `after a reply the next message is asked about`() {
    var conversation = open { $0.onFailure = .reply }
    _ = conversation.next(said())
    _ = conversation.next(said())
    #expect(
      conversation.next(failed(1, mayHaveRun: true)) == [
        .reply("a message may not have been handled"), .ask(2, [message(2)]), .readOn,
      ])
  }

  @Test func `an answer that cannot be used ends the session, and nothing more is asked`() {
    var conversation = open()
    _ = conversation.next(said())
    _ = conversation.next(said())
    let failure = ViewFailure(reason: "no JSON", mayHaveRun: true)
    #expect(
      conversation.next(.answered(.receive(1), .unusable(failure))) == [.end(.viewUnusable), .readOn])
    #expect(conversation.next(.ended(.asksOn(atMost: 1000))) == [.report])
  }

  // MARK: - Answers

  @Test func `actions are carried out in their order, and what follows a join waits for it`() {
    var conversation = open()
    _ = conversation.next(said())
    let actions: [ViewAnswer.Action] = [
      .publish(publication("room")), .join("room"), .publish(publication("room")), .leave("room"),
      .publish(publication("room")),
    ]
    #expect(
      conversation.next(received(1, actions, state: "2")) == [
        .publish(publication("room"), joinsLater: true, leavesLater: true), .join("room"),
      ])
    #expect(conversation.next(said()) == [])
    #expect(
      conversation.next(.joined) == [
        .publish(publication("room"), leavesLater: true), .leave("room"), .publish(publication("room")),
        .finish(Array("2".utf8)), .ask(2, [message(2)]),
        .readOn,
      ])
  }

  @Test func `after a close nothing more is done`() {
    var conversation = open()
    _ = conversation.next(said())
    _ = conversation.next(said())
    let actions: [ViewAnswer.Action] = [hello, .close(code: 4000, reason: "enough"), hello]
    #expect(
      conversation.next(received(1, actions, state: "3")) == [
        sentHello, .finish(Array("3".utf8)), .close(code: 4000, reason: "enough"), .readOn,
      ])
    #expect(conversation.next(.ended(.asksOn(atMost: 1000))) == [.report])
  }

  // MARK: - The end

  @Test func `what the client had sent is asked about before its end is told`() {
    var conversation = open()
    _ = conversation.next(said())
    _ = conversation.next(said())
    #expect(conversation.next(.ended(.asksOn(atMost: 1000))) == [])
    #expect(
      conversation.next(received(1, [hello, .publish(publication("room"))])) == [
        .publish(publication("room")), .finish(nil), .ask(2, [message(2)]),
      ])
    #expect(conversation.next(received(2)) == [.finish(nil), .report])
  }

  @Test func `of what a client that is gone has left a thousand messages are asked about`() {
    var conversation = open { $0.batch = 2000 }
    _ = conversation.next(said())
    for _ in 0..<1200 { _ = conversation.next(said()) }
    #expect(conversation.next(.ended(.asksOn(atMost: 1000))) == [.tellOfDropped(200, .count)])
    #expect(
      conversation.next(received(1)) == [.finish(nil), .ask(2, (2...1001).map { message(UInt64($0)) })])
    #expect(conversation.next(received(2)) == [.finish(nil), .report])
  }

  @Test func `a client that is gone is asked about for a time, and its end follows the answer under way`() {
    var conversation = open()
    for _ in 0..<3 { _ = conversation.next(said()) }
    #expect(conversation.next(.lingeredOut) == [])
    _ = conversation.next(.ended(.asksOn(atMost: 1000)))
    #expect(!conversation.isDropping)
    #expect(conversation.next(.lingeredOut) == [.tellOfDropped(2, .time)])
    #expect(conversation.isDropping && conversation.next(.lingeredOut) == [])
    // What was not taken is dropped as well.
    #expect(conversation.next(received(1, taken: 0)) == [.finish(nil), .report])
  }

  @Test(arguments: [(false, 3), (true, 2)])
  func `what a view does not handle of a client that is gone is counted`(mayHaveRun: Bool, count: Int) {
    var conversation = open { $0.batch = 1 }
    for _ in 0..<3 { _ = conversation.next(said()) }
    _ = conversation.next(.ended(.asksOn(atMost: 1000)))
    #expect(
      conversation.next(failed(1, mayHaveRun: mayHaveRun)) == [.tellOfDropped(count, .failure), .report])
  }

  @Test func `where a failure is answered the next messages of a client that is gone are asked about`() {
    var conversation = open { $0.onFailure = .reply }
    for _ in 0..<2 { _ = conversation.next(said()) }
    _ = conversation.next(.ended(.asksOn(atMost: 1000)))
    #expect(
      conversation.next(failed(1, mayHaveRun: false)) == [
        .tellOfDropped(1, .failure), .ask(2, [message(2)]),
      ])
  }

  @Test func `a pause of a client that is gone ends with its time`() {
    var conversation = open()
    _ = conversation.next(said())
    _ = conversation.next(.ended(.asksOn(atMost: 1000)))
    #expect(conversation.next(received(1, taken: 0)).count == 2)
    #expect(conversation.next(.lingeredOut) == [.tellOfDropped(1, .time), .report])
  }

  @Test func `who was put out is not asked about any more, but the answer under way is waited for`() {
    var conversation = open()
    _ = conversation.next(said())
    _ = conversation.next(said())
    #expect(conversation.next(.ended(.drops)) == [])
    #expect(conversation.next(received(1)) == [.finish(nil), .report])
  }

  @Test func `a session that ends while it joins a group does not wait for it`() {
    var conversation = open()
    _ = conversation.next(said())
    _ = conversation.next(received(1, [.join("room"), .publish(publication("room"))]))
    #expect(
      conversation.next(.ended(.asksOn(atMost: 1000))) == [
        .publish(publication("room")), .finish(nil), .report,
      ])
  }

  @Test func `a view that took the session for ended is asked connect again`() {
    var conversation = open()
    _ = conversation.next(said())
    #expect(conversation.next(.mistaken) == [])
    _ = conversation.next(said())
    #expect(conversation.next(received(1)) == [.finish(nil), .askConnect(isAgain: true)])
    #expect(
      conversation.next(connected([hello])) == [sentHello, .finish(nil), .ask(2, [message(2)]), .readOn])
  }

  @Test func `a session lives on whatever its view answers when it is told of it again`() {
    var conversation = open()
    #expect(conversation.next(.mistaken) == [.askConnect(isAgain: true)])
    let refusal = HandshakeRefusal(.forbiddenByCallback)
    #expect(conversation.next(.answered(.connect, .refused(refusal))) == [.tellOfRefusal(refusal)])
    #expect(conversation.next(.mistaken) == [.askConnect(isAgain: true)])
    let failure = ViewFailure(reason: "no JSON", mayHaveRun: true)
    #expect(conversation.next(.answered(.connect, .unusable(failure))) == [])
    #expect(conversation.next(said()) == [.ask(1, [message(1)])])
  }

  @Test func `what was not taken is not asked again of a session that was put out`() {
    var conversation = open()
    _ = conversation.next(said())
    #expect(conversation.next(.ended(.drops)) == [])
    #expect(conversation.next(received(1, taken: 0)) == [.finish(nil), .report])
  }

  @Test func `what was not taken is not asked again behind a close`() {
    var conversation = open { $0.isOrdered = false }
    _ = conversation.next(said())
    _ = conversation.next(said())
    #expect(
      conversation.next(received(1, [.close(code: 1000, reason: "")])) == [
        .finish(nil), .close(code: 1000, reason: ""),
      ])
    #expect(conversation.next(.mistaken) == [])
    #expect(conversation.next(received(2, taken: 0)) == [.finish(nil)])
    #expect(conversation.next(.ended(.asksOn(atMost: 1000))) == [.report])
  }

  @Test func `a long answer is carried out in parts, in its order`() {
    var conversation = open()
    _ = conversation.next(said())
    let sends = (0..<70).map { ViewAnswer.Action.send(.text, [$0]) }
    var steps = conversation.next(received(1, sends, state: "1"))
    #expect(steps.count == ViewConversation.actionsAtOnce + 1 && steps.last == .goOn)
    #expect(conversation.next(said()) == [])
    while steps.last == .goOn {
      steps.removeLast()
      steps += conversation.next(.wentOn)
    }
    let expected = (0..<70).map { Step.send(.text, [$0]) }
    #expect(steps == expected + [.finish(Array("1".utf8)), .ask(2, [message(2)]), .readOn])
  }

  @Test func `a session that ends amid a long answer is reported behind it`() {
    var conversation = open()
    _ = conversation.next(said())
    let all = [ViewAnswer.Action](repeating: .publish(publication("room")), count: 40)
    #expect(conversation.next(received(1, all)).last == .goOn)
    #expect(conversation.next(.ended(.asksOn(atMost: 1000))) == [])
    #expect(conversation.next(.wentOn).suffix(2) == [.finish(nil), .report])
    #expect(conversation.isOver)
  }

  @Test func `an answer with a thousand publications and joins takes no longer for each`() {
    let actions = (0..<500).flatMap { number -> [ViewAnswer.Action] in
      [.publish(publication("g\(number)")), .join("g\(number)")]
    }
    var carrying = ViewCarrying(answer(actions), of: .receive(1))
    #expect(carrying.joinsLater("g0") && carrying.joinsLater("g499") && !carrying.leavesLater("g0"))
    carrying.actions.removeFirst(2)
    #expect(!carrying.joinsLater("g0") && carrying.joinsLater("g1"))
  }
}

extension ViewRules {
  fileprivate static func onFailure(
    _ choice: ViewConfiguration.OnFailure, repeats: Bool = false
  ) -> ViewRules {
    var rules = ViewRules()
    rules.onFailure = choice
    rules.repeatsReceive = repeats
    return rules
  }
}
