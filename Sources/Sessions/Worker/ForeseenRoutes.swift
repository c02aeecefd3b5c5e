import Consumers
import GatewayConfig
import Routing
import Transport

/// The routes of a file that only another program can serve, for one worker: from the moment when an upgrade closes those who cannot go on
/// by them, until that program serves them, or it is known that it will not.
///
/// Whoever comes meanwhile is let in by the routes of before only where the client could go on by the new ones, too. The others would soon be
/// closed by the other program, and many of them for the second time: they are told when to come back. Pages do not come back by themselves after
/// such an answer to an event stream, so that streams begin all the same, and end when nothing more is accepted.
///
/// Confined to the reactor.
final class ForeseenRoutes {
  // The worker owns it.
  private unowned let worker: WorkerSessions
  private let changes: RouteChanges
  private let plan: ClosePlan
  private let begun: MonotonicTime
  private let closing: PacedCloses
  /// Those who were let in though they cannot go on.
  private var late: [any LiveSession] = []

  /// - Parameter plan: when those come back who are closed.
  init(_ changes: RouteChanges, of worker: WorkerSessions, by plan: ClosePlan) {
    self.worker = worker
    self.changes = changes
    self.plan = plan
    begun = worker.reactor.now
    closing = PacedCloses(of: worker)
  }

  /// Whether clients are still to be closed.
  var isClosing: Bool { !closing.isOver }

  func close(_ client: any LiveSession, for end: ClientEnd) { closing.close(client, for: end) }

  /// Begins to close those whose turn is to come.
  func start() { closing.start() }

  /// - Returns: the refusal of a client that is about to be let in; nil for one that can go on, and for a stream that may.
  func refusal(of opening: Opening) -> HandshakeRefusal? {
    guard case .closes(let end) = verdict(of: opening) else { return nil }
    if case .stream = opening.kind, !end.isAtOnce { return nil }
    return HandshakeRefusal(.stopping(retry: plan.retry(after: worker.reactor.now.since(begun))))
  }

  private func verdict(of opening: Opening) -> ClientVerdict {
    switch opening.kind {
    case .session(let session): verdict(of: opening, on: session.route, opening.wayIn.isAdmitted)
    case .stream(let stream): verdict(of: opening, on: stream.route, opening.wayIn.mayRead)
    }
  }

  private func verdict<Route: LiveRoute>(
    of opening: Opening, on route: Route, _ admits: @escaping (OriginPolicy) -> Bool
  ) -> ClientVerdict {
    let found = Route.find(RequestPath(bytes: opening.wayIn.path), in: changes.routes)
    let change = changes.change(from: route, to: found?.route)
    return change.verdict(
      of: OpeningInQuestion(opening: opening, captures: found?.captures ?? Captures(), admits: admits))
  }

  /// One more client was let in.
  func accepted(_ client: any LiveSession) {
    if case .closes = client.judge(by: changes)?.verdict { late.append(client) }
  }

  /// Nothing more is accepted.
  func closeLate() {
    for client in late where worker.isLive(client) {
      if case .closes(let end) = client.judge(by: changes)?.verdict { client.close(CloseReason(end)) }
    }
    late = []
  }

  /// Nobody else is closed.
  func end() {
    closing.drop()
    late = []
  }
}

/// What a client that is about to be let in is to those who decide whether it can go on.
private struct OpeningInQuestion: LivingClient {
  let opening: Opening
  /// Of its path by the new route.
  let captures: Captures
  let admits: (OriginPolicy) -> Bool

  var isAnonymous: Bool { opening.identity.authenticated == nil }
  var isAwaitingToken: Bool { opening.awaitsToken }

  func isAdmitted(by origins: OriginPolicy) -> Bool { admits(origins) }

  func isInGroups(of groups: GroupConfiguration) -> Bool {
    // Who shows its token later would come into those of the route of before.
    !opening.awaitsToken && groups.names(opening.groups, for: captures, of: opening.identity)
  }

  func mayKeepJoined(by groups: GroupConfiguration) -> Bool { true }
}

extension WorkerSessions {
  /// Lets everybody in by the routes that are served: no other program takes over.
  package func forgetForeseen() {
    foreseen?.end()
    foreseen = nil
  }

  /// Ends the streams that have come while others were closed because another program does not keep them.
  package func closeLate() { foreseen?.closeLate() }
}
