import Consumers
package import GatewayConfig
import Routing

/// The routes that handed sessions come from, as the process before has served them.
///
/// With them an upgrade decides about a session as a reload does, by its path and by what both routes mean, and not by their names.
package struct HandedRoutes: Sendable {
  /// By their names.
  private let sessions: [String: ClientRoute]
  private let streams: [String: ClientRoute]

  /// - Parameter configuration: of the process before; nil where it is not known, and nobody can go on.
  package init(_ configuration: Configuration?) {
    let application = configuration?.served
    let sessions = configuration.flatMap { application?.clientRoutes(of: $0) } ?? []
    let streams = configuration.flatMap { application?.streamRoutes(of: $0) } ?? []
    self.sessions = Self.named(sessions)
    self.streams = Self.named(streams.compactMap(\.self))
  }

  private static func named(_ routes: [ClientRoute]) -> [String: ClientRoute] {
    Dictionary(routes.map { ($0.name, $0) }) { first, _ in first }
  }

  fileprivate func route(of session: SessionState) -> ClientRoute? {
    session.kind == .stream ? streams[session.route] : sessions[session.route]
  }
}

/// What becomes of a handed session.
enum HandedOutcome {
  case session(FoundRoute<SessionRoute>)
  case stream(FoundRoute<EventRoute>)
  case closes(ClientEnd)
  /// Only the end of its connection is waited for.
  case leaves
}

/// What becomes of handed sessions by the routes that are served here. Confined to whoever takes them over.
final class HandedChanges {
  private struct Pair: Hashable {
    var old: String
    var new: ObjectIdentifier
  }

  private let old: HandedRoutes
  private let new: LiveRoutes
  /// Most pairs are those of a route and its successor.
  private var known: [Pair: RouteChange] = [:]

  init(from old: HandedRoutes, to new: LiveRoutes) {
    (self.old, self.new) = (old, new)
  }

  func outcome(of session: SessionState) -> HandedOutcome {
    let path = RequestPath(bytes: session.wayIn.path)
    switch session.kind {
    case .leaving: return .leaves
    case .webSocket:
      let found = new.session(at: path)
      // Its close frame is sent.
      if session.webSocket.closesAt != nil { return found.map(HandedOutcome.session) ?? .leaves }
      guard let found else { return .closes(.routeGone) }
      if let end = end(of: session, at: found) { return .closes(end) }
      return session.fits(found.route) ? .session(found) : .closes(.consumerChanged)
    case .stream:
      guard let found = new.stream(at: path) else { return .closes(.routeGone) }
      return end(of: session, at: found).map(HandedOutcome.closes) ?? .stream(found)
    }
  }

  private func end<Route: LiveRoute>(of session: SessionState, at found: FoundRoute<Route>) -> ClientEnd? {
    guard let change = change(of: session, to: found.route) else { return .routeGone }
    let verdict = change.verdict(of: HandedInQuestion(session: session, captures: found.captures))
    guard case .closes(let end) = verdict else { return nil }
    return end
  }

  private func change(of session: SessionState, to route: some LiveRoute) -> RouteChange? {
    let pair = Pair(old: session.route, new: ObjectIdentifier(route))
    if let change = known[pair] { return change }
    guard let before = old.route(of: session) else { return nil }
    let change = RouteChange(from: before, to: route.meaning)
    known[pair] = change
    return change
  }
}

/// What a handed session is to those who decide whether it can go on.
private struct HandedInQuestion: LivingClient {
  let session: SessionState
  /// Of its path by the new route.
  let captures: Captures

  private var feed: FeedState { session.feed }

  var isAnonymous: Bool { feed.identity.authenticated == nil }
  /// One that still has to show a token is not handed over.
  var isAwaitingToken: Bool { false }

  func isAdmitted(by origins: OriginPolicy) -> Bool {
    session.kind == .stream ? session.wayIn.mayRead(by: origins) : session.wayIn.isAdmitted(by: origins)
  }

  func isInGroups(of groups: GroupConfiguration) -> Bool {
    groups.names(groupsOfRoute, for: captures, of: feed.identity)
  }

  /// The groups that the route has named for the client.
  private var groupsOfRoute: [String] {
    session.webSocket.view?.named ?? feed.groups.prefix(feed.ofRoute + 1).map(\.group)
  }

  func mayKeepJoined(by groups: GroupConfiguration) -> Bool {
    groups.mayKeep(feed.groups.dropFirst(feed.ofRoute + 1).map(\.group), for: captures, of: feed.identity)
  }
}

extension SessionState {
  /// Whether its other half is one that the route has.
  fileprivate func fits(_ route: SessionRoute) -> Bool {
    let isProxied = route.configuration.consumer.upstream != nil
    // A client whose groups a view names may be in none.
    return isProxied == (webSocket.upstream != nil) && (route.layer != nil || feed.groups.isEmpty)
      && (route.view == nil) == (webSocket.view == nil)
  }
}
