import Routing

// The values of options as short texts, for what a person reads. A key without one here is only named.

extension ClientRoute {
  /// The keys that differ, with both values where they have a text.
  static func changes(from old: ClientRoute, to new: ClientRoute, _ keys: [String]) -> [OptionChange] {
    keys.filter { !old.meansTheSame(by: $0, as: new) }.flatMap { key in
      key == "limits" && new.limits != nil && old.limits != nil
        ? limitChanges(old, new) : [OptionChange(key, old.text(of: key), new.text(of: key))]
    }
  }

  /// The limits that differ, each by its own key.
  private static func limitChanges(_ old: ClientRoute, _ new: ClientRoute) -> [OptionChange] {
    let (before, after) = (old.limitTexts, new.limitTexts)
    return zip(before, after).compactMap { before, after in
      before.text == after.text ? nil : OptionChange("limits.\(before.key)", before.text, after.text)
    }
  }

  /// Whether a key is another one only because one of the routes has no `auth`, where it means nothing.
  private func meansTheSame(by key: String, as other: ClientRoute) -> Bool {
    guard (auth == nil) != (other.auth == nil), let auth = auth ?? other.auth else { return false }
    switch key {
    case "auth_optional": return !auth.isOptional
    case "require": return auth.requirements.isEmpty
    case "permission": return auth.permission == nil
    default: return false
    }
  }

  private var limits: SessionLimits? {
    if case .webSocket(let route) = kind { route.limits } else { nil }
  }

  private var limitTexts: [(key: String, text: String)] {
    guard let limits else { return [] }
    return [
      ("message", "\(limits.message)"), ("send_queue", "\(limits.sendQueue)"),
      ("ping", limits.ping.map { "\($0.interval.written) + \($0.timeout.written)" } ?? "none"),
      ("rate", limits.rate.text), ("per_user.messages", limits.userMessages?.text ?? "none"),
    ]
  }

  private func text(of key: String) -> String? {
    switch key {
    case "auth": return auth?.name ?? "none"
    case "auth_optional": return "\(auth?.isOptional ?? false)"
    case "require": return auth?.requirementText ?? "none"
    case "permission": return auth?.permissionText ?? "none"
    case "allowed_hosts": return origins.text
    case "limits": return streamText(of: key)
    default: return groups?.text(of: key) ?? consumerText(of: key) ?? streamText(of: key)
    }
  }

  private func consumerText(of key: String) -> String? {
    guard case .webSocket(let route) = kind else { return nil }
    switch (key, route.consumer) {
    case ("consumer", let consumer): return consumer.type.rawValue
    case ("publish", .broadcast(_, let policy)): return policy.rawValue
    case ("to", .proxy(let upstream)): return upstream.shown
    case ("connect_timeout", .proxy(let upstream)): return upstream.connectTimeout.written
    case ("host", .proxy(let upstream)): return upstream.hostHeader.rawValue
    case ("url", .view(_, let view)): return view.question.shownURL
    case ("batch", .view(_, let view)): return "\(view.batch)"
    case ("in_flight", .view(_, let view)): return "\(view.inFlight)"
    case ("order", .view(_, let view)): return view.order.rawValue
    case ("on_failure", .view(_, let view)): return view.onFailure.rawValue
    case ("on", .view(_, let view)): return view.on.map(\.rawValue).sorted().joined(separator: ", ")
    case ("alive", .view(_, let view)): return view.alive?.written ?? "none"
    case ("compression", _): return route.compression.map(\.text) ?? "none"
    case ("subprotocols", _):
      return route.subprotocols.isEmpty ? "none" : route.subprotocols.joined(separator: ", ")
    case ("refusals", _): return route.refusals.rawValue
    default: return route.options.explained.first { $0.name == key }?.text ?? nil
    }
  }

  private func streamText(of key: String) -> String? {
    guard case .stream(let stream) = kind else { return nil }
    switch key {
    case "heartbeat": return stream.heartbeat.written
    case "retry": return stream.retry.written
    case "limits": return "send_queue \(stream.sendQueue)"
    default: return nil
    }
  }
}

extension OptionChange {
  /// Texts that are equal do not tell what differs, and are left out.
  init(_ key: String, _ old: String?, _ new: String?) {
    self.init(key: key, old: old == new ? nil : old, new: old == new ? nil : new)
  }

  /// `limits.rate: none -> 10/s burst 20`, or the key alone.
  package var text: String {
    old == nil && new == nil ? key : "\(key): \(old ?? "none") -> \(new ?? "none")"
  }
}

extension GroupConfiguration {
  fileprivate func text(of key: String) -> String? {
    func list(_ patterns: [GroupPattern]) -> String {
      patterns.isEmpty ? "none" : patterns.map(\.text).joined(separator: ", ")
    }
    switch key {
    case "group": return list(templates)
    case "subscribe": return list(subscribe)
    case "groups_from_view": return fromView?.text ?? "none"
    case "channel_layer": return layer
    case "history": return history.map { "\($0.messages) in \($0.age.written)" } ?? "none"
    case "presence": return "\(presence)"
    case "identity": return "\(showsUser)"
    default: return nil
    }
  }
}

extension RouteAuth {
  var requirementText: String {
    requirements.isEmpty ? "none" : requirements.map(\.description).joined(separator: ", ")
  }

  var permissionText: String { permission?.question.shownURL ?? "none" }
}

extension OriginPolicy {
  /// As it is written in the file.
  var text: String {
    switch self {
    case .sameHost: "the request's own host"
    case .patterns(let patterns): "[\(patterns.joined(separator: ", "))]"
    }
  }
}

extension MessageRate {
  fileprivate var text: String {
    messages.map { "\($0.text), then \(excess.rawValue)" } ?? "none"
  }
}

extension CompressionConfiguration {
  fileprivate var text: String {
    "level \(level), threshold \(threshold), window \(windowBits)"
      + (keepsContext ? ", context_takeover" : "") + (keepsClientContext ? ", client_context_takeover" : "")
  }
}

extension UpstreamConfiguration {
  /// The URL as it is written.
  var shown: String { "\(scheme.rawValue)://\(place)\(path.map { $0.filled { "{\($0)}" } } ?? "")" }
}
