import ChannelLayers
import Consumers
package import GatewayConfig
import Routing

/// What has become of a client when what is served was exchanged.
package struct ClientOutcome: Sendable, Hashable {
  /// The name of the route that it has had.
  package var route: String
  package var verdict: ClientVerdict
  /// The name of the route that it goes on by, where that is another one.
  package var newRoute: String?
}

/// What a client is to those who decide whether it can go on.
private struct ClientInQuestion<Client: GroupClient>: LivingClient {
  let client: Client
  /// Of its path by the new route.
  let captures: Captures

  var isAnonymous: Bool { client.identity.authenticated == nil }
  var isAwaitingToken: Bool { client.feed.extras?.token?.awaited != nil }

  func isAdmitted(by origins: OriginPolicy) -> Bool { client.isAdmitted(by: origins) }

  func isInGroups(of groups: GroupConfiguration) -> Bool {
    guard let current = client.groupsOfRoute else { return true }
    return groups.names(current, for: captures, of: client.identity)
  }

  func mayKeepJoined(by groups: GroupConfiguration) -> Bool {
    guard let extras = client.feed.extras else { return true }
    return groups.mayKeep(
      extras.others.dropFirst(extras.ofRoute).lazy.map(\.group), for: captures, of: client.identity)
  }
}

extension GroupConfiguration {
  /// Whether these are the groups that it names for a client.
  func names(_ current: [String], for captures: Captures, of identity: Identity?) -> Bool {
    let names = names(for: captures, given: identity?.groups ?? []) { identity?.values(of: $0) }
    guard case .success(let names) = names else { return false }
    // Of several that are alike, any can be the first one.
    return names == current || isFirstLikeOthers && Set(names) == Set(current)
  }

  /// Whether a client may stay in these, which it has joined beside those of its route.
  func mayKeep(_ joined: some Sequence<String>, for captures: Captures, of identity: Identity?) -> Bool {
    joined.allSatisfy { group in
      fromView?.admits(group) == true
        || subscribe.contains { $0.matchesAny(group, captures: captures) { identity?.values(of: $0) } }
    }
  }
}

extension GroupClient {
  var routeName: String { route.name }

  /// The groups that the route has named for the client; nil where it has not named any yet.
  fileprivate var groupsOfRoute: [String]? {
    if let named = namedForView { return named }
    if let token = feed.extras?.token, token.awaited != nil { return token.groups?.groups }
    let others = feed.extras.map { $0.others.prefix($0.ofRoute).map(\.group) } ?? []
    return (feed.membership.map { [$0.group] } ?? []) + others
  }

  /// What is to become of the client by the routes that are exchanged for the others. Nothing is changed.
  func judge(by exchange: RouteChanges) -> ClientOutcome? {
    guard isOpen else { return nil }
    return judge(find(in: exchange), exchange)
  }

  func isServed(by routes: LiveRoutes) -> Bool { routes.owns(route) }

  private func find(in exchange: RouteChanges) -> FoundRoute<Route>? {
    Route.find(RequestPath(bytes: wayIn.path), in: exchange.routes)
  }

  private func judge(_ found: FoundRoute<Route>?, _ exchange: RouteChanges) -> ClientOutcome {
    let change = exchange.change(from: route, to: found?.route)
    let verdict = change.verdict(
      of: ClientInQuestion(client: self, captures: found?.captures ?? Captures()))
    return ClientOutcome(route: route.name, verdict: verdict, newRoute: change.newName)
  }

  /// Goes on by the route that its path leads to now, if it can.
  ///
  /// - Returns: what is to become of it. One that is to be closed is left as it is. Nil where it has ended already.
  func adopt(_ exchange: RouteChanges) -> ClientOutcome? {
    guard isOpen else { return nil }
    if exchange.routes.owns(route) { return ClientOutcome(route: route.name, verdict: .stays) }
    let found = find(in: exchange)
    let outcome = judge(found, exchange)
    guard let found else { return outcome }
    switch outcome.verdict {
    case .stays, .changes: goOn(by: found)
    case .closes: break
    }
    return outcome
  }

  private func goOn(by found: FoundRoute<Route>) {
    let isNumbered = isNumbered
    take(found.captures, of: found.route)
    feed.extras?.standing?.credentials.request.captures = found.captures
    exchange(for: found.route)
    moveMemberships(isNumbered: isNumbered)
    replanRechecks()
  }

  /// Whether its frames contain positions.
  private var isNumbered: Bool {
    let key = audience(isFirst: true, isNumbered: true).key
    return feed.membership?.route == key && key != audience(isFirst: true, isNumbered: false).key
  }

  /// Moves the client to those who see events in its form, once that is another route's.
  ///
  /// - Parameter isNumbered: whether its frames contain positions.
  private func moveMemberships(isNumbered: Bool) {
    guard let layer else { return }
    for (place, membership) in feed.memberships.enumerated() {
      let isFirst = place == 0
      if isFirst, let replay = feed.replay {
        replay.renderer = audience(isFirst: true, isNumbered: replay.isNumbered).renderer
        continue
      }
      let (key, renderer) = audience(isFirst: isFirst, isNumbered: isFirst && isNumbered)
      layer.groups.move(membership, route: key, renderer: renderer)
    }
    let (key, renderer) = audience(isFirst: true, isNumbered: false)
    feed.extras?.presence?.move(route: key, renderer: renderer)
  }
}
