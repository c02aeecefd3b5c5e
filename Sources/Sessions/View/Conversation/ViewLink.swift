import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import JSON
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
  /// By it the session is reached, whatever groups it is in; nil once it has ended, and without groups.
  var ownMembership: Membership?
  /// Nil while nothing goes on.
  private(set) var activity: ViewActivity?
  /// The subprotocols that the client has offered.
  let offered: [String]
  let startedAt: MonotonicTime
  /// Stands for the groups that the register knows.
  private var notedGroups = 0
  private(set) var conversation: ViewConversation
  /// What is known of the session, as its view is told of it. `groups` is empty until the session ends: while it lives it knows them
  /// itself (`known`).
  var record: ViewRecord
  /// Whether the register does not know yet what has changed in `record`.
  var isChanged = false
  /// An event is carried out: the next one waits, as carrying a step out may lead to it.
  private var isHandling = false
  /// Whether what the view was not asked about is dropped with the session.
  private var dropsWaiting = false
  /// The connection is broken: what the client had sent is taken, whether or not the view is ready.
  var isBroken = false
  /// Whether the register knows the session.
  private(set) var isNoted = false
  /// The view has let the client in, and the gateway has not.
  var isTurnedAway = false

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

  /// - Parameters:
  ///   - ownMembership: by which the session is reached; nil without groups.
  ///   - patience: how long *connect* may take.
  init(
    _ session: Session, at ownMembership: Membership?, _ view: ViewConfiguration, _ request: ViewedRequest,
    by asker: any ViewAsker, patience: Duration,
    _ completed: @escaping (Result<ViewAnswer, HandshakeRefusal>) -> Bool
  ) {
    self.session = session
    self.ownMembership = ownMembership
    self.asker = asker
    worker = session.worker
    route = session.route
    conversation = ViewConversation(ViewRules(view))
    startedAt = session.worker.reactor.now
    offered = request.connect.subprotocols
    record = ViewRecord(
      address: ownMembership.flatMap { session.layer?.groups.address(of: $0) } ?? "",
      route: session.route.name, target: request.target, path: request.path,
      query: request.query, captures: request.captures, host: request.host, client: request.client,
      isSecure: request.isSecure, user: session.identity?.user, claims: session.identity?.claims,
      groups: [], since: WallClock.secondsSinceEpoch)
    let activity = makeActivity()
    activity.entrance = ViewEntrance(
      details: request.connect, asker: asker, patience: patience, completed: completed)
    activity.held = HeldEvents(limit: session.route.sendQueueLimit)
  }

  /// Goes on with what another process had with the view.
  init(
    _ session: Session, at ownMembership: Membership?, _ view: ViewConfiguration, _ record: ViewRecord,
    _ state: ViewState, by asker: any ViewAsker
  ) {
    self.session = session
    self.ownMembership = ownMembership
    self.asker = asker
    worker = session.worker
    route = session.route
    conversation = ViewConversation(ViewRules(view), resuming: state.conversation)
    startedAt = MonotonicTime(nanoseconds: state.startedAt)
    offered = state.offered
    self.record = record
    isNoted = state.isNoted
    if let end = state.restsUntil {
      rest(MonotonicTime(nanoseconds: end).since(session.worker.reactor.now))
    }
  }

  func makeActivity() -> ViewActivity {
    let activity = activity ?? ViewActivity()
    self.activity = activity
    return activity
  }

  var entrance: ViewEntrance? {
    get { activity?.entrance }
    set { makeActivity().entrance = newValue }
  }

  /// What has come meanwhile; nil once it was sent.
  var held: HeldEvents? { activity?.held }

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
    if new.name != route.name { rename(to: new) }
    route = new
    asker = worker.viewAsker(of: new)
    conversation.rules = ViewRules(view)
    guard let target = view.question.target(for: record.captures, long: view.longCaptures) else { return }
    record.target = target
    // Its record may be kept elsewhere now, or nowhere.
    writeChange()
  }

  /// The register knows the sessions by their route.
  private func rename(to new: SessionRoute) {
    if isNoted { worker.process.views.forget(record) }
    record.route = new.name
    guard isNoted, session != nil else { return }
    // It was let in with the other name; where it cannot be kept now, it is when it changes next.
    worker.process.views.enter(known) { _ in }
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
  var known: ViewRecord {
    var record = record
    record.groups = groups
    return record
  }

  /// What it is in now, or was in last.
  private var groups: [String] { session?.groupNames ?? record.groups }

  /// Tells the register what is known of the session now, where that is not what it knows, and is kept anywhere.
  func noteChange() {
    guard isNoted, session != nil, route.keptRecords != nil else { return }
    guard isChanged || groups.hashValue != notedGroups else { return }
    writeChange()
  }

  func writeChange() {
    guard isNoted, session != nil else { return }
    let record = known
    isChanged = false
    notedGroups = record.groups.hashValue
    worker.process.views.change(record)
  }

  // MARK: - Events

  var isHoldingBack: Bool { !isBroken && (conversation.isHoldingBack || worker.holdsViews) }

  func received(_ kind: MessageKind, _ payload: RawSpan) {
    let bytes = [UInt8](copying: payload)
    handle(.message(kind == .text ? .text(bytes) : .bytes(bytes)))
  }

  /// The view has been told that the session has ended, and it has not.
  func connectAgain() { handle(.mistaken) }

  func handle(_ event: ViewConversation.Event) {
    // Whoever gets answers makes progress.
    if case .answered = event { activity?.part?.isDone = true }
    guard !isHandling else { return makeActivity().events.append(event) }
    isHandling = true
    for step in conversation.next(event) { carryOut(step) }
    while let event = activity?.nextEvent() {
      for step in conversation.next(event) { carryOut(step) }
    }
    isHandling = false
    count()
    if activity?.isOver == true { activity = nil }
    if conversation.isOver { worker.endedViews.remove(self) }
  }

  /// What waits for the view is part of what the process has read and not handled.
  private func count() {
    let bytes = conversation.heldBytes
    guard bytes > 0 || activity?.part != nil else { return }
    let activity = makeActivity()
    activity.part = worker.unfinishedInput.count(bytes, of: self, activity.part)
    worker.unfinishedInput.relieve()
  }

  // MARK: - The end

  /// The session or the client says that it ends; the first one counts.
  func ends(_ code: CloseCode, _ reason: String) {
    let activity = makeActivity()
    if activity.farewell == nil { activity.farewell = (code, reason) }
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
    activity?.leaveClient()
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

  func report() {
    guard isNoted else { return }
    isNoted = false
    guard route.configuration.consumer.view?.on.contains(.disconnect) == true else {
      return worker.process.views.forget(record)
    }
    // RFC 6455 section 7.1.5: without a close frame it is 1006.
    let farewell = activity?.farewell ?? (.abnormal, "")
    let duration = worker.reactor.now.since(startedAt) / .seconds(1)
    worker.process.views.ended(
      record, SessionEnd(code: farewell.code.rawValue, reason: farewell.reason, duration: duration))
  }

  func forget() {
    guard isNoted else { return }
    isNoted = false
    worker.process.views.forget(record)
  }
}

extension ViewLink: InputHolder {
  var routeName: String { route.name }

  func giveUpInput() {
    dropWaiting()
    if let session { return session.giveUpInput() }
    handle(.ended(.drops))
  }
}
