/// What a pair of routes means for clients that are connected by the first one, and whose path leads to the second one now. It is
/// worked out once for each pair, and then asked about each client.
package struct RouteChange: Sendable {
  /// What a client has shown of itself.
  enum Standing: Sendable, Hashable, CaseIterable {
    /// `auth` says who it is.
    case known
    case anonymous
    /// It is let in, and still has to show its first token.
    case awaitsToken

    init(_ client: some LivingClient) {
      self = client.isAwaitingToken ? .awaitsToken : client.isAnonymous ? .anonymous : .known
    }
  }

  /// Every client ends for this.
  private(set) var end: ClientEnd?
  /// The origins are others, and a client has to be admitted by these.
  private(set) var origins: OriginPolicy?
  /// Those that the first route may have.
  private var standings: Set<Standing> = []
  /// Who has to log in anew, or for the first time.
  private var login: Set<Standing> = []
  /// Every client that may still be there ends for this.
  private var laterEnd: ClientEnd?
  /// Of whom something was decided that would be decided by somebody else now.
  private var rights: Set<Standing> = []
  /// The groups may be others, and a client has to be in those that these name.
  private(set) var groups: GroupConfiguration?
  /// What clients may join beside them may be other groups, and what a client has joined has to be among those.
  private(set) var joinable: GroupConfiguration?
  /// The keys of the options that differ and that a living client can take on, in the order of the reference.
  package private(set) var options: [String] = []
  /// The name of the new route, where it is another one; nil where it is the same, or there is none.
  package private(set) var newName: String?

  /// - Parameter new: nil where the path leads nowhere now.
  package init(from old: ClientRoute, to new: ClientRoute?) {
    guard let new else {
      end = .routeGone
      return
    }
    if new.name != old.name { newName = new.name }
    if new.origins != old.origins { origins = new.origins }
    let auth = AuthChange(from: old, to: new)
    standings = old.standings
    (login, rights) = (auth.login, auth.rights)
    laterEnd = Self.laterEnd(from: old, to: new)
    if let groups = new.groups, let known = old.groups {
      let isSamePlace = new.path != nil && new.path == old.path
      let isSameView = groups.fromView == known.fromView
      if !isSamePlace || !isSameView || groups.templates != known.templates { self.groups = groups }
      if !isSamePlace || !isSameView || groups.subscribe != known.subscribe { joinable = groups }
    }
    options = Self.options(from: old, to: new)
  }

  private static func laterEnd(from old: ClientRoute, to new: ClientRoute) -> ClientEnd? {
    guard new.consumer?.type == old.consumer?.type else { return .consumerChanged }
    if let upstream = new.consumer?.upstream, let known = old.consumer?.upstream,
      !upstream.leads(whereDoes: known)
    {
      return .consumerChanged
    }
    if let view = new.consumer?.view, let known = old.consumer?.view, !view.goesOn(with: known) {
      return .consumerChanged
    }
    guard let groups = new.groups, let known = old.groups else { return nil }
    guard groups.layer == known.layer, isSamePlace(new.layer, old.layer) else { return .layerChanged }
    return groups.presence == known.presence ? nil : .groupsChanged
  }

  private static func isSamePlace(
    _ new: ChannelLayerConfiguration?, _ old: ChannelLayerConfiguration?
  ) -> Bool {
    guard let new, let old else { return new == old }
    return new.isSamePlace(as: old)
  }

  /// Why a client ends for what it has shown of itself, or for what ends every client; nil where its origin and its groups decide.
  ///
  /// Who may no longer be there comes first, as 1012 would ask such a client to come back.
  func end(of standing: Standing) -> ClientEnd? {
    if login.contains(standing) { return .loginNeeded }
    return laterEnd ?? (rights.contains(standing) ? .rightsChanged : nil)
  }

  /// The same of all clients that the first route may have, by what they have shown.
  private var ends: [ClientEnd?] { Standing.allCases.filter(standings.contains).map { end(of: $0) } }

  /// Whether clients end for this whatever groups they are in.
  func isCertain(_ end: ClientEnd) -> Bool { ends.contains(end) }

  /// Whether what is left to do for clients of the first route can be done by the second one.
  package var isContinued: Bool { end == nil && laterEnd == nil && rights.isEmpty }

  /// Everything that can become of clients of the first route, the worst first: what is said where no clients are known.
  package var outcomes: [ClientVerdict] {
    if let end { return [.closes(end)] }
    let ends = ends
    var all: [ClientEnd] = origins == nil ? [] : [.originRefused]
    all += ends.compactMap(\.self).filter { $0 == .loginNeeded }
    all += ends.compactMap(\.self)
    guard ends.contains(nil) else { return all.unique.map(ClientVerdict.closes) }
    if groups != nil { all.append(.groupsChanged) }
    if joinable != nil { all.append(.rightsChanged) }
    return all.unique.map(ClientVerdict.closes) + [options.isEmpty ? .stays : .changes(options)]
  }
}

/// What has become of the way in which clients are identified.
private struct AuthChange {
  var login: Set<RouteChange.Standing> = []
  var rights: Set<RouteChange.Standing> = []

  private static let everybody = Set(RouteChange.Standing.allCases)

  init(from old: ClientRoute, to new: ClientRoute) {
    guard let auth = new.auth, let entry = new.entry else {
      // Nobody is known on the new route, and no token is waited for. For those who are anonymous nothing is different.
      if old.auth != nil { rights = [.known, .awaitsToken] }
      return
    }
    guard let known = old.auth, let knownEntry = old.entry else {
      login = auth.isOptional ? [] : Self.everybody
      // Nobody was asked about those who are there.
      rights = auth.permission == nil ? [] : Self.everybody
      return
    }
    if !entry.isSuccessor(of: knownEntry) {
      login = auth.isOptional ? [.known, .awaitsToken] : Self.everybody
    } else if known.isOptional, !auth.isOptional {
      login = [.anonymous]
    }
    if !new.takesFirstTokens { login.insert(.awaitsToken) }
    if Self.changesRights(from: old, entry: knownEntry, to: new, entry: entry) { rights = Self.everybody }
  }

  /// Whether what was decided when a client came in would be decided by somebody else now.
  private static func changesRights(
    from old: ClientRoute, entry knownEntry: AuthenticatorConfiguration,
    to new: ClientRoute, entry: AuthenticatorConfiguration
  ) -> Bool {
    !asksTheSame(new.auth?.permission, as: old.auth?.permission)
      || new.keepsRequests && !old.keepsRequests
      || new.askedCaptures != old.askedCaptures
      || !new.askedCaptures.isEmpty && (new.path == nil || new.path != old.path)
      || !entry.asksWithTheSame(as: knownEntry)
  }

  private static func asksTheSame(_ new: PermissionConfiguration?, as old: PermissionConfiguration?) -> Bool {
    guard let new else { return true }
    return old.map(new.asksTheSame) ?? false
  }
}

extension AuthenticatorConfiguration {
  /// Whether clients of another entry are known by this one as well: it has the same name, and answers in the same way. Its keys may be
  /// others, which counts for the next token.
  fileprivate func isSuccessor(of other: AuthenticatorConfiguration) -> Bool {
    guard name == other.name else { return kind == other.kind }
    switch (kind, other.kind) {
    case (.jwt, .jwt), (.callback, .callback): return true
    case (.jwt, .callback), (.callback, .jwt): return false
    }
  }

  /// Whether views are asked again with no more than what was kept of a client's request for the other entry.
  fileprivate func asksWithTheSame(as other: AuthenticatorConfiguration) -> Bool {
    guard case .callback(let new) = kind, case .callback(let old) = other.kind, new.question.recheck != nil
    else { return true }
    return new.question.headers == old.question.headers && new.sources == old.sources
  }
}

extension ClientRoute {
  /// Whether a session needs the request that opened it while it is open.
  fileprivate var keepsRequests: Bool {
    if auth?.permission?.question.recheck != nil { return true }
    switch entry?.kind {
    case .callback(let callback): return callback.question.recheck != nil
    case .jwt(let jwt): return auth?.permission != nil && jwt.takesMessages
    case nil: return false
    }
  }
}

extension ClientRoute {
  /// Whether a client may be let in before it has shown a token. A client of an event stream can send none later.
  fileprivate var takesFirstTokens: Bool {
    guard case .webSocket = kind, case .jwt(let jwt) = entry?.kind else { return false }
    return jwt.sources.contains(.message)
  }

  /// What its clients may have shown. Also one that can be used without a token may have clients that wait to show one: it was asked of
  /// them when they came in.
  fileprivate var standings: Set<RouteChange.Standing> {
    var standings: Set<RouteChange.Standing> = auth == nil ? [.anonymous] : [.known]
    if auth?.isOptional == true { standings.insert(.anonymous) }
    if takesFirstTokens { standings.insert(.awaitsToken) }
    return standings
  }
}

extension JWTConfiguration {
  /// Whether a client may send its first token, or another one, in a message.
  package var takesMessages: Bool { sources.contains(.message) || expiry == .renew }
}

extension ViewConfiguration {
  /// Whether the view of a session can be asked about it in the middle of its life as this says: another form of the question has a state
  /// of its own, which begins with *connect*.
  fileprivate func goesOn(with other: ViewConfiguration) -> Bool {
    wire == other.wire && on.contains(.connect) == other.on.contains(.connect)
  }
}
