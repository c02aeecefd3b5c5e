import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import JSON
import Logging
import Routing
import Transport
import WebSocketCore

/// Carries out what one session and its view have to say to each other (`ViewConversation`).
///
/// Confined to its reactor. It lives as long as its session, and longer where the view has not been asked about everything when the
/// client is gone: the worker keeps it then.
final class ViewLink {
  /// Nil once the session has ended. Unowned: the session says when it ends.
  unowned var session: Session?
  // Unowned: the worker lives while its reactor runs.
  unowned let worker: WorkerSessions
  private(set) var route: SessionRoute
  private(set) var asker: any ViewAsker
  private var conversation: ViewConversation
  /// Told to the conversation one after the other: carrying a step out may lead to the next event.
  private var events: [ViewConversation.Event] = []
  private var isHandling = false
  /// What is known of the session, as its view is told of it. `groups` is empty until the session ends: while it lives it knows them
  /// itself (`known`).
  private(set) var record: ViewRecord
  /// Whether the register does not know yet what has changed in `record`.
  private var isChanged = false
  /// Stands for the groups that the register knows.
  private var notedGroups = 0
  /// The subprotocols that the client has offered.
  private let offered: [String]
  private let startedAt: MonotonicTime
  /// Until *connect* is answered: what goes with it, and who waits for the answer.
  private var entrance: Entrance?
  /// What has come meanwhile; nil once it was sent.
  private(set) var held: HeldEvents?
  /// The code and the reason of the session's end, by the side that has spoken first.
  private var farewell: LastWords?
  /// Whether what the view was not asked about is dropped with the session.
  private var dropsWaiting = false
  /// The group that the answer under way waits for.
  private var awaited: String?
  private var timer: Timer?
  /// Of a session that has much to carry out.
  private var turnTimer: Timer?
  /// Of a session that is asked about while it is quiet.
  private var restTimer: Timer?
  private var part: UnfinishedInput.Part?
  /// The connection is broken: what the client had sent is taken, whether or not the view is ready.
  var isBroken = false
  /// Whether the register knows the session.
  private var isNoted = false
  /// The view has let the client in, and the gateway has not.
  private var isTurnedAway = false
  /// The groups that the route names.
  var named: [String] {
    get { record.named }
    set {
      isChanged = isChanged || record.named != newValue
      record.named = newValue
      noteChange()
    }
  }

  /// The view's opaque value.
  var state: JSON? { record.state.flatMap { try? JSON.parse($0.rawBytes) } }

  /// An object of its own, like the next one, so that an open session has no room for it.
  private final class LastWords {
    let code: CloseCode
    let reason: String

    init(_ code: CloseCode, _ reason: String) {
      self.code = code
      self.reason = reason
    }
  }

  private final class Entrance {
    let details: ViewQuestion.ConnectDetails
    /// Whoever asks it, and the ticket of the question.
    let asker: any ViewAsker
    var ticket: Int?
    let patience: Duration
    /// Whether the client is accepted after all.
    let completed: (Result<ViewAnswer, HandshakeRefusal>) -> Bool

    init(
      details: ViewQuestion.ConnectDetails, asker: any ViewAsker, patience: Duration,
      completed: @escaping (Result<ViewAnswer, HandshakeRefusal>) -> Bool
    ) {
      self.details = details
      self.asker = asker
      self.patience = patience
      self.completed = completed
    }
  }

  /// - Parameter patience: how long *connect* may take.
  init(
    _ session: Session, _ view: ViewConfiguration, _ request: ViewedRequest, by asker: any ViewAsker,
    patience: Duration, _ completed: @escaping (Result<ViewAnswer, HandshakeRefusal>) -> Bool
  ) {
    self.session = session
    self.asker = asker
    worker = session.worker
    route = session.route
    conversation = ViewConversation(ViewRules(view))
    startedAt = session.worker.reactor.now
    entrance = Entrance(details: request.connect, asker: asker, patience: patience, completed: completed)
    offered = request.connect.subprotocols
    held = HeldEvents(limit: session.route.sendQueueLimit)
    record = ViewRecord(
      address: session.address ?? "", route: session.route.name, target: request.target, path: request.path,
      query: request.query, captures: request.captures, host: request.host, client: request.client,
      isSecure: request.isSecure, user: session.identity?.user, claims: session.identity?.claims,
      groups: [], since: WallClock.secondsSinceEpoch)
  }

  /// Notes the session where its end is to be told, and asks *connect*.
  func begin() {
    guard let view = route.configuration.consumer.view else { return }
    guard view.on.contains(.disconnect) || view.alive != nil else { return handle(.began) }
    let record = known
    notedGroups = record.groups.hashValue
    isChanged = false
    isNoted = true
    // It is called on any thread, and the session may be gone by then.
    let reply = worker.reply { [weak self] (isNoted: Bool?) in self?.noted(isNoted ?? false) }
    worker.process.views.enter(record) { reply.give($0) }
  }

  private func noted(_ isDone: Bool) {
    guard session != nil else { return }
    if isDone { return handle(.began) }
    _ = entrance?.completed(.failure(HandshakeRefusal(.layerUnavailable)))
  }

  /// Another value of its route is served now: from here on the view is asked as that one says. Nothing is asked because of it.
  func adopt(_ new: SessionRoute) {
    guard let view = new.configuration.consumer.view else { return }
    route = new
    asker = worker.viewAsker(of: new)
    conversation.rules = ViewRules(view)
    guard let target = view.question.target(for: record.captures, long: view.longCaptures) else { return }
    record.target = target
    // Its record may be kept elsewhere now, or nowhere.
    writeChange()
  }

  /// Another token or another question has told who the client is.
  func noteIdentity() {
    guard let identity = session?.identity else { return }
    guard record.user != identity.user || record.claims != identity.claims else { return }
    record.user = identity.user
    record.claims = identity.claims
    isChanged = true
    noteChange()
  }

  /// What is known of the session now.
  private var known: ViewRecord {
    var record = record
    record.groups = groups
    return record
  }

  /// What it is in now, or was in last.
  private var groups: [String] { session?.groupNames ?? record.groups }

  // MARK: - Events

  var isHoldingBack: Bool { !isBroken && conversation.isHoldingBack }

  func received(_ kind: MessageKind, _ payload: RawSpan) {
    let bytes = [UInt8](copying: payload)
    handle(.message(kind == .text ? .text(bytes) : .bytes(bytes)))
  }

  /// The view has been told that the session has ended, and it has not.
  func connectAgain() { handle(.mistaken) }

  /// A group that was waited for has come, or will not.
  ///
  /// - Parameter arrival: nil if it is not wanted any more.
  func settled(_ group: String, as arrival: Arrival?) {
    guard awaited == group else { return }
    awaited = nil
    switch arrival {
    case .joined, nil: break
    case .unavailable:
      publishing.tellNotCarriedOut("join", ["group": "\(group)"], "the channel layer is not available")
    case .keptOut(let order):
      publishing.tellNotCarriedOut(
        "join", ["group": "\(group)"], "an order keeps the client out of the group: \(order.reason)")
    }
    handle(.joined)
  }

  private func handle(_ event: ViewConversation.Event) {
    events.append(event)
    // Whoever gets answers makes progress.
    if case .answered = event { part?.isDone = true }
    guard !isHandling else { return }
    isHandling = true
    while !events.isEmpty {
      for step in conversation.next(events.removeFirst()) { carryOut(step) }
    }
    isHandling = false
    // What took an answer is not kept by a session that is quiet.
    events = []
    count()
    if conversation.isOver { worker.endedViews.remove(self) }
  }

  /// What waits for the view is part of what the process has read and not handled.
  private func count() {
    let bytes = conversation.heldBytes
    guard bytes > 0 || part != nil else { return }
    part = worker.unfinishedInput.count(bytes, of: self, part)
    worker.unfinishedInput.relieve()
  }

  // MARK: - The end

  /// The session or the client says that it ends; the first one counts.
  func ends(_ code: CloseCode, _ reason: String) {
    if farewell == nil { farewell = LastWords(code, reason) }
  }

  /// - Parameter payload: of the gateway's close frame.
  func ends(_ payload: [UInt8]) {
    let (code, reason) = CloseCode.read(payload)
    ends(code, reason)
  }

  /// What the view was not asked about is dropped.
  func dropWaiting() { dropsWaiting = true }

  /// Whether nothing that waits is asked about any more.
  var isDropping: Bool { conversation.isDropping }

  /// The session has ended, and its view was asked for long enough about what its client had sent.
  func timeIsOver() { handle(.lingeredOut) }

  /// Called while the session is still in its groups.
  func sessionEnds() {
    guard let session else { return }
    record.groups = session.groupNames
    self.session = nil
    held = nil
    timer?.cancel()
    restTimer?.cancel()
    // Nobody else holds it while it waits, and its view is still to be told.
    worker.endedViews.add(self)
    guard let entrance else { return handle(.ended(dropsWaiting ? .drops : worker.endedViews.ending)) }
    self.entrance = nil
    // The end of the session must not overtake its beginning, which another process of the view may still be at.
    let isAsked = entrance.ticket.map { ticket in
      entrance.asker.forget(ticket) { [self] in handle(.ended(.beforeOpen(wasAsked: true))) }
    }
    if isAsked != true { handle(.ended(.beforeOpen(wasAsked: false))) }
  }

  private func report() {
    guard isNoted else { return }
    isNoted = false
    guard route.configuration.consumer.view?.on.contains(.disconnect) == true else {
      return worker.process.views.forget(record)
    }
    // RFC 6455 section 7.1.5: without a close frame it is 1006.
    let farewell = farewell ?? LastWords(.abnormal, "")
    let duration = worker.reactor.now.since(startedAt) / .seconds(1)
    worker.process.views.ended(
      record, SessionEnd(code: farewell.code.rawValue, reason: farewell.reason, duration: duration))
  }

  private func forget() {
    guard isNoted else { return }
    isNoted = false
    worker.process.views.forget(record)
  }
}

// MARK: - Steps

extension ViewLink {
  private func carryOut(_ step: ViewConversation.Step) {
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
    case .tellOfDropped(let count): tellOfDropped(count)
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
    if let user = answer.user { record.user = user }
    if let claims = answer.claims { record.claims = record.claims.map { $0.merging(claims) } ?? claims }
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

  /// Tells the register what is known of the session now, where that is not what it knows, and is kept anywhere.
  func noteChange() {
    guard isNoted, session != nil, route.keptRecords != nil else { return }
    guard isChanged || groups.hashValue != notedGroups else { return }
    writeChange()
  }

  private func writeChange() {
    guard isNoted, session != nil else { return }
    let record = known
    isChanged = false
    notedGroups = record.groups.hashValue
    worker.process.views.change(record)
  }

  private func release() {
    guard let session, let held else { return }
    self.held = nil
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
    let timer = timer ?? worker.reactor.timer { [weak self] in self?.handle(.timeIsUp) }
    self.timer = timer
    // Those of many sessions do not come together.
    timer.schedule(after: time * Double.random(in: 0.75...1.25))
  }
}

extension ViewLink {
  private func rest(_ time: Duration) {
    let timer = restTimer ?? worker.reactor.timer { [weak self] in self?.handle(.rested) }
    restTimer = timer
    timer.schedule(after: time)
  }

  /// Goes on with a long answer, at once or in another turn.
  private func goOn() {
    guard !worker.reactor.hasTimeLeft() else { return handle(.wentOn) }
    let timer = turnTimer ?? worker.reactor.timer { [weak self] in self?.handle(.wentOn) }
    turnTimer = timer
    timer.schedule(after: .zero)
  }

  private func tell(of refusal: HandshakeRefusal) {
    worker.process.log.log(
      "a view refuses a session that is open, and that it was told of again: the session goes on",
      at: .warning, paced: worker.process.viewPace,
      ["route": "\(route.name)", "status": "\(refusal.status)"])
  }

  private func tellOfDropped(_ count: Int) {
    worker.process.log.log(
      "messages of a client that is gone were dropped: its view did not take them in time", at: .warning,
      paced: worker.process.viewPace,
      [
        "route": "\(route.name)", "messages": "\(count)",
        "hint":
          "after a session has ended its view is asked for 30 seconds, about at most 1,000 messages; batch: brings more in one question",
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

// MARK: - Groups

extension ViewLink {
  private func join(_ group: String) {
    guard let session else { return handle(.joined) }
    guard route.admits(group, of: record) else {
      publishing.tellNotAdmitted("join", group)
      return handle(.joined)
    }
    guard session.hasRoom(for: group) else {
      publishing.tellNotCarriedOut("join", ["group": "\(group)"], "the session is in too many groups")
      return handle(.joined)
    }
    awaited = group
    if session.joinForView(group) { settled(group, as: .joined) }
  }

  private func leave(_ group: String) {
    if session?.leaveForView(group) == true { noteChange() }
  }

  private func publish(_ publication: ViewAnswer.Publication, joinsLater: Bool, leavesLater: Bool) {
    let isMember = session?.feed.isMember(of: publication.group) == true
    // What comes back through the layer might do so only after the session has left: it gets such an event here, once.
    let isByHand = isMember && leavesLater
    let isKeptBack = isByHand || joinsLater && !isMember
    guard publishing.publish(publication, of: record, isKeptBack: isKeptBack) else { return }
    if isByHand { session?.take(publication) }
  }

  private var publishing: ViewPublishing { ViewPublishing(worker, route) }
}

extension ViewLink: InputHolder {
  var routeName: String { route.name }

  func giveUpInput() {
    dropWaiting()
    if let session { return session.giveUpInput() }
    handle(.ended(.drops))
  }
}
