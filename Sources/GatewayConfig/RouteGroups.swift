import JSON
package import Routing

/// One way in which clients of a route reach groups, and its place in the file.
package struct RouteGroups: Sendable {
  /// The key of a route that names the groups.
  package enum Key: String, Sendable, Hashable {
    case group
    case subscribe
    case publish
    case events
    case view = "groups_from_view"
  }

  /// The use of the groups. Its layer represents all layers with the same groups.
  package var use: GroupUse
  /// The alias that the route names.
  package var layer: String
  package var kind: RouteKind
  package var key: Key
  /// The route's path as written, preceded by all outer patterns.
  package var path: String
  /// The place of the template or pattern.
  package var range: SourceRange
  /// The place of the route's `shared: true`.
  package var sharedRange: SourceRange?
}

extension RouteGroups {
  /// The uses of all routes of a table, in their order.
  static func all(of table: RouteTable, _ kind: RouteKind) -> [RouteGroups] {
    // The clients of the other routes are not known.
    let routes = table.routes.enumerated().filter { !$0.element.hasUnknownAuth }
    return routes.flatMap { number, route in
      switch kind {
      case .webSocket: all(of: route, number, table.router)
      case .http: allOverHTTP(of: route, number, table.router)
      }
    }
  }

  private static func all(of route: ReadRoute, _ number: Int, _ router: Router) -> [RouteGroups] {
    guard let webSocket = route.webSocket, let groups = webSocket.consumer.groups else { return [] }
    let maker = Maker(
      route: route, number: number, router: router, kind: .webSocket, layer: groups.configuration.layer,
      auth: webSocket.auth, signature: groups.signature)
    let isAsked = webSocket.consumer.view != nil
    var uses: [RouteGroups] = []
    for (place, template) in route.groups.enumerated() {
      // Messages of clients go to the first group; a view that is asked about them may publish to each.
      let writers = place == 0 || isAsked ? groups.writers : .nobody
      uses += maker.make(template.value, .group, at: template.range, writers)
    }
    for (place, pattern) in groups.configuration.subscribe.enumerated() {
      uses.append(maker.make(pattern, .subscribe, at: route.place(ofPattern: place), access: .read))
    }
    return uses + (isAsked ? maker.joined(groups.configuration) : maker.fromView(groups.configuration))
  }

  private static func allOverHTTP(of route: ReadRoute, _ number: Int, _ router: Router) -> [RouteGroups] {
    guard let http = route.http else { return [] }
    func maker(_ layer: String, _ signature: GroupUse.Signature) -> Maker {
      Maker(
        route: route, number: number, router: router, kind: .http, layer: layer, auth: http.auth,
        signature: signature)
    }
    switch http.action {
    case .staticFiles, .respond, .redirect, .health, .proxy: return []
    case .events(let stream):
      let maker = maker(stream.group.layer, .shownIfAdded)
      return route.groups.map { maker.make($0.value, .events, at: $0.range, access: .read) }
        + maker.fromView(stream.group)
    case .publish(let publish):
      let access = GroupUse.Access(
        reads: !publish.operations.isDisjoint(with: [.history, .presence]),
        writes: publish.operations.contains(.publish))
      guard access.reads || access.writes else { return [] }
      let isOfToken = http.auth == nil && !publish.isAnonymous
      // What users send is signed, unless they have the right to send whole events, which is a finding of its own.
      var maker = maker(publish.layer, publish.isAnonymous ? .forgeable : isOfToken ? .none : .added)
      maker.isOfToken = isOfToken
      return publish.groups.enumerated().map { place, pattern in
        maker.make(pattern, .publish, at: route.place(ofPattern: place), access: access)
      }
    }
  }
}

/// The common properties of a route's uses.
private struct Maker {
  let route: ReadRoute
  let number: Int
  let router: Router
  let kind: RouteKind
  let layer: String
  /// Nil if clients do not authenticate.
  let auth: RouteAuth?
  /// Of those uses that it can concern: one that does not write forges nothing, and one that does not read is shown nothing.
  let signature: GroupUse.Signature
  /// Whether its clients are the holders of its token.
  var isOfToken = false

  /// Whether clients without credentials are admitted too.
  private var isOptional: Bool { auth?.isOptional ?? false }

  /// The captures of the pattern that are a claim of every client of the route. A field that stands in the pattern as well may have
  /// another value there, because it may be a list.
  private func ties(of pattern: GroupPattern) -> [String: String] {
    (auth?.ties ?? [:]).filter { capture, field in
      pattern.captureNames.contains(capture) && !pattern.identityFields.contains(field)
    }
  }

  /// The clients with credentials.
  private func audience(of pattern: GroupPattern) -> AdmittedClients {
    isOfToken
      ? .tokenHolder
      : AdmittedClients(auth, of: pattern, ties: ties(of: pattern), route: "\(kind.key) \(number)")
  }

  /// The clients with and without credentials. Anonymous clients have no personal groups.
  private func everybody(of pattern: GroupPattern) -> AdmittedClients {
    guard let auth, isOptional, !pattern.isPersonal else { return audience(of: pattern) }
    return AdmittedClients(withAnonymous: auth, of: pattern, route: "\(kind.key) \(number)")
  }

  func make(
    _ pattern: GroupPattern, _ key: RouteGroups.Key, at range: SourceRange,
    _ writers: ConsumerConfiguration.PublishPolicy
  ) -> [RouteGroups] {
    switch writers {
    case .everyone: return [make(pattern, key, at: range, access: .readAndWrite)]
    case .nobody: return [make(pattern, key, at: range, access: .read)]
    case .authenticated:
      // Anonymous clients have no personal groups.
      guard isOptional, !pattern.isPersonal else {
        return [made(pattern, key, at: range, audience(of: pattern), .readAndWrite)]
      }
      return [
        made(pattern, key, at: range, everybody(of: pattern), .read),
        made(pattern, key, at: range, audience(of: pattern), .write),
      ]
    }
  }

  func make(
    _ pattern: GroupPattern, _ key: RouteGroups.Key, at range: SourceRange, access: GroupUse.Access
  ) -> RouteGroups {
    made(pattern, key, at: range, everybody(of: pattern), access)
  }

  /// What the answer of a view may name is open to every client that it is about, whatever the view decides.
  func fromView(_ groups: GroupConfiguration) -> [RouteGroups] {
    patternsFromView(groups).map { made($0.value, .view, at: $0.range, audience(of: $0.value), .read) }
  }

  /// What the answers of a view about sessions may join and publish to (`consumer: view`).
  ///
  /// Nothing is known of what it decides, so every client of the route may come to read these groups, also one without credentials,
  /// and what a client sends may arrive there. But the names of users under it are the view's word. The view is a program of the
  /// operator's own, which knows the user of each session, as those behind the channel layer are: its clients cannot write what
  /// they like. So nothing that it publishes counts as forged, and nothing as signed by Sluice.
  func joined(_ groups: GroupConfiguration) -> [RouteGroups] {
    patternsFromView(groups).map { make($0.value, .view, at: $0.range, access: .readAndWrite) }
  }

  private func patternsFromView(_ groups: GroupConfiguration) -> [Located<GroupPattern>] {
    (groups.fromView?.patterns ?? []).enumerated().map { number, pattern in
      let places = route.placesOfViewGroups
      return Located(pattern, at: number < places.count ? places[number] : route.range)
    }
  }

  private func made(
    _ pattern: GroupPattern, _ key: RouteGroups.Key, at range: SourceRange, _ audience: AdmittedClients,
    _ access: GroupUse.Access
  ) -> RouteGroups {
    let isConcerned =
      switch signature {
      case .none: false
      case .shown, .shownIfAdded: access.reads
      case .added, .forgeable: access.writes
      }
    var use = GroupUse(
      layer: layer, pattern: pattern, router: router, tableName: kind.key, route: number, access: access,
      audience: audience, userType: auth?.userType, isShared: route.shared?.value ?? false,
      isPublishing: key == .publish,
      signature: isConcerned ? signature : .none)
    use.ties = ties(of: pattern)
    return RouteGroups(
      use: use, layer: layer, kind: kind, key: key, path: "/" + route.path.text, range: range,
      sharedRange: route.shared?.range)
  }
}

extension ReadRoute {
  fileprivate func place(ofPattern number: Int) -> SourceRange {
    number < placesOfPatterns.count ? placesOfPatterns[number] : range
  }
}
