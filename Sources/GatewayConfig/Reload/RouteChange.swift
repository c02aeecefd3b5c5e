/// What a pair of routes means for clients that are connected by the first one, and whose path leads to the second one now. It is
/// worked out once for each pair, and then asked about each client.
package struct RouteChange: Sendable {
  /// Who has to log in anew.
  enum Login: Sendable {
    case nobody
    /// The clients that nobody knows.
    case anonymous
    /// Those that were identified by what does not count any more.
    case known
    case everybody

    func end(of client: some LivingClient) -> ClientEnd? {
      switch self {
      case .nobody: nil
      case .anonymous: client.isAnonymous && !client.isAwaitingToken ? .loginNeeded : nil
      case .known: client.isAnonymous && !client.isAwaitingToken ? nil : .loginNeeded
      case .everybody: .loginNeeded
      }
    }
  }

  /// Every client ends for this.
  private(set) var end: ClientEnd?
  /// The origins are others, and a client has to be admitted by these.
  private(set) var origins: OriginPolicy?
  private(set) var login = Login.nobody
  /// Every client that may still be there ends for this.
  private(set) var laterEnd: ClientEnd?
  /// The groups may be others, and a client has to be in those that these name.
  private(set) var groups: GroupConfiguration?
  /// What clients may join beside them may be other groups, and what a client has joined has to be among those.
  private(set) var joinable: GroupConfiguration?
  /// Whether a client that was let in without a token can still show its first one.
  private(set) var takesFirstTokens = true
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
    login = auth.login
    takesFirstTokens = new.takesFirstTokens
    laterEnd = Self.laterEnd(from: old, to: new) ?? (auth.changesRights ? .rightsChanged : nil)
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

  /// Whether what is left to do for clients of the first route can be done by the second one.
  package var isContinued: Bool { end == nil && laterEnd == nil }

  /// Everything that can become of clients of the first route, the worst first: what is said where no clients are known.
  package var outcomes: [ClientVerdict] {
    if let end { return [.closes(end)] }
    var outcomes: [ClientVerdict] = []
    if origins != nil { outcomes.append(.closes(.originRefused)) }
    if case .nobody = login {} else { outcomes.append(.closes(.loginNeeded)) }
    if case .everybody = login { return outcomes }
    if let laterEnd { return outcomes + [.closes(laterEnd)] }
    if groups != nil { outcomes.append(.closes(.groupsChanged)) }
    if joinable != nil { outcomes.append(.closes(.rightsChanged)) }
    return outcomes + [options.isEmpty ? .stays : .changes(options)]
  }
}

/// What has become of the way in which clients are identified.
private struct AuthChange {
  var login = RouteChange.Login.nobody
  /// Whether what was decided when a client came in would be decided by somebody else now.
  var changesRights = false

  init(from old: ClientRoute, to new: ClientRoute) {
    guard let auth = new.auth, let entry = new.entry else {
      // Nobody would be known on the new route. Anonymous clients are not known on the old one either.
      changesRights = old.auth != nil
      return
    }
    guard let known = old.auth, let knownEntry = old.entry else {
      login = auth.isOptional ? .nobody : .everybody
      // Nobody was asked about those who are there.
      changesRights = auth.permission != nil
      return
    }
    if !entry.isSuccessor(of: knownEntry) {
      login = auth.isOptional ? .known : .everybody
    } else if known.isOptional, !auth.isOptional {
      login = .anonymous
    }
    changesRights =
      !Self.asksTheSame(auth.permission, as: known.permission)
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
  fileprivate var takesFirstTokens: Bool {
    if case .jwt(let jwt) = entry?.kind { jwt.sources.contains(.message) } else { false }
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
