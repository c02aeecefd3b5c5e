extension RouteChange {
  /// The keys whose values differ for clients of the two routes, by the names in the file.
  static func options(from old: ClientRoute, to new: ClientRoute) -> [String] {
    var keys = ChangedKeys()
    keys.compare("auth", old.auth, new.auth, \.name)
    keys.compare("auth", old.entry, new.entry, \.kind)
    keys.compare("auth_optional", old.auth?.isOptional ?? false, new.auth?.isOptional ?? false)
    keys.compare("require", old.auth?.requirements ?? [], new.auth?.requirements ?? [])
    keys.compare("permission", old.auth?.permission, new.auth?.permission)
    keys.compare("allowed_hosts", old.origins, new.origins)
    if let groups = old.groups, let newGroups = new.groups {
      keys.compare(groups, newGroups, isStream: old.consumer == nil)
    }
    switch (old.kind, new.kind) {
    case (.webSocket(let old), .webSocket(let new)): keys.compare(old, new)
    case (.stream(let old), .stream(let new)): keys.compare(old, new)
    case (.webSocket, .stream), (.stream, .webSocket): keys.add("consumer")
    }
    return keys.names
  }
}

/// Collects the keys that differ, each once.
private struct ChangedKeys {
  private(set) var names: [String] = []

  mutating func add(_ key: String) {
    if !names.contains(key) { names.append(key) }
  }

  mutating func compare<Value: Equatable>(_ key: String, _ old: Value, _ new: Value) {
    if old != new { add(key) }
  }

  mutating func compare<Whole, Part: Equatable>(
    _ key: String, _ old: Whole?, _ new: Whole?, _ part: KeyPath<Whole, Part>
  ) {
    compare(key, old?[keyPath: part], new?[keyPath: part])
  }

  mutating func compare(_ old: GroupConfiguration, _ new: GroupConfiguration, isStream: Bool) {
    compare("group", old.templates, new.templates)
    compare("subscribe", old.subscribe, new.subscribe)
    compare("groups_from_view", old.fromView, new.fromView)
    compare("channel_layer", old.layer, new.layer)
    compare("history", old.history, new.history)
    compare(isStream ? "templates" : "events", old.events, new.events)
    compare("deliver", old.deliveries, new.deliveries)
    compare("receive", old.receive, new.receive)
    compare("connect", old.greetings, new.greetings)
    for option in old.options.differing(from: new.options) { add(option) }
  }

  mutating func compare(_ old: WebSocketRoute, _ new: WebSocketRoute) {
    compare("consumer", old.consumer.type, new.consumer.type)
    if case .broadcast(_, let policy) = old.consumer, case .broadcast(_, let newPolicy) = new.consumer {
      compare("publish", policy, newPolicy)
    }
    compareUpstreams(old.consumer.upstream, new.consumer.upstream)
    compareViews(old.consumer.view, new.consumer.view)
    for option in old.options.differing(from: new.options) { add(option) }
    compare("limits", old.limits.own, new.limits.own)
    compare("compression", old.compression, new.compression)
    compare("subprotocols", old.subprotocols, new.subprotocols)
    compare("refusals", old.refusals, new.refusals)
  }

  private mutating func compareUpstreams(_ old: UpstreamConfiguration?, _ new: UpstreamConfiguration?) {
    guard let old, let new else { return }
    if !new.leads(whereDoes: old) { add("to") }
    compare("host", old.hostHeader, new.hostHeader)
    compare("tls", old.trust, new.trust)
    compare("connect_timeout", old.connectTimeout, new.connectTimeout)
    compare("proxy", old.rest(of: new), old)
  }

  private mutating func compareViews(_ old: ViewConfiguration?, _ new: ViewConfiguration?) {
    guard let old, let new else { return }
    compare("url", old.question, new.question)
    compare("secret", old.secrets, new.secrets)
    compare("unsigned", old.isUnsigned, new.isUnsigned)
    compare("on", old.on, new.on)
    compare("alive", old.alive, new.alive)
    compare("protocol", old.wire, new.wire)
    compare("batch", old.batch, new.batch)
    compare("order", old.order, new.order)
    compare("in_flight", old.inFlight, new.inFlight)
    compare("on_failure", old.onFailure, new.onFailure)
    compare("retry", old.repeatsReceive, new.repeatsReceive)
    compare("url", old.longCaptures, new.longCaptures)
  }

  mutating func compare(_ old: EventStreamConfiguration, _ new: EventStreamConfiguration) {
    compare("heartbeat", old.heartbeat, new.heartbeat)
    compare("retry", old.retry, new.retry)
    compare("limits", old.sendQueue, new.sendQueue)
  }
}

extension UpstreamConfiguration {
  /// The same with everything that is compared by its own name, so that what is left is the rest.
  fileprivate func rest(of new: UpstreamConfiguration) -> UpstreamConfiguration {
    var rest = new
    (rest.scheme, rest.host, rest.port, rest.socket, rest.path) = (scheme, host, port, socket, path)
    (rest.hostHeader, rest.trust, rest.connectTimeout) = (hostHeader, trust, connectTimeout)
    return rest
  }
}

extension SessionLimits {
  /// Without what is said of the whole process.
  fileprivate var own: SessionLimits {
    var own = self
    (own.sendMemory, own.receiveMemory) = (nil, nil)
    return own
  }
}
