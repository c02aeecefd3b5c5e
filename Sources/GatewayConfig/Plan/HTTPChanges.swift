import Routing

extension HTTPRoute {
  /// The keys that differ between two routes that are no event streams both, with their values.
  static func changes(from old: HTTPRoute, to new: HTTPRoute) -> [OptionChange] {
    var changes = ChangedOptions()
    changes.add(old.action, new.action)
    changes.add("auth", old.auth?.name, new.auth?.name) { $0 ?? "none" }
    if let auth = old.auth, let other = new.auth {
      changes.add("auth_optional", auth.isOptional, other.isOptional) { "\($0)" }
    }
    changes.add("require", old.auth?.requirements ?? [], new.auth?.requirements ?? []) {
      $0.isEmpty ? "none" : $0.map(\.description).joined(separator: ", ")
    }
    changes.add("permission", old.auth?.permission, new.auth?.permission) { $0?.question.shownURL ?? "none" }
    return changes.all
  }
}

/// Collects the options that differ.
private struct ChangedOptions {
  private(set) var all: [OptionChange] = []

  /// - Parameter text: nil for a value without a short text, or with a secret in it.
  mutating func add<Value: Equatable>(
    _ key: String, _ old: Value, _ new: Value, _ text: ((Value) -> String)? = nil
  ) {
    guard old != new else { return }
    all.append(OptionChange(key, text?(old), text?(new)))
  }

  mutating func add(_ old: HTTPAction, _ new: HTTPAction) {
    switch (old, new) {
    case (.staticFiles(let directory, let fallback), .staticFiles(let other, let otherFallback)):
      add("static", directory, other) { $0 }
      add("fallback", fallback, otherFallback) { $0 ?? "none" }
    case (.respond(let response), .respond(let other)): add(response, other)
    case (.redirect(let target, let status), .redirect(let other, let otherStatus)):
      add("redirect", target, other) { $0.filled { "{\($0)}" } }
      add("status", status, otherStatus) { "\($0)" }
    case (.health(let probe), .health(let other)): add("health", probe, other, \.rawValue)
    case (.proxy(let upstream), .proxy(let other)): add(upstream, other)
    case (.publish(let publish), .publish(let other)): add(publish, other)
    // What differs in event streams is told by what it means for their clients.
    case (.events, .events): break
    case (
      .staticFiles, _
    ), (.respond, _), (.redirect, _), (.health, _), (.proxy, _), (.publish, _), (.events, _):
      all.append(OptionChange(key: "action", old: old.name, new: new.name))
    }
  }

  private mutating func add(_ old: FixedResponse, _ new: FixedResponse) {
    add("status", old.status, new.status) { "\($0)" }
    add("headers", old.headers.map { [$0.name, $0.value] }, new.headers.map { [$0.name, $0.value] })
    add("body", old.body, new.body) { "\($0.count) bytes" }
  }

  private mutating func add(_ old: UpstreamConfiguration, _ new: UpstreamConfiguration) {
    add("proxy", old.shown, new.shown) { $0 }
    add("host", old.hostHeader, new.hostHeader, \.rawValue)
    add("tls.verify", old.trust.verifiesCertificate, new.trust.verifiesCertificate) { "\($0)" }
    add("tls.ca", old.trust.authorities, new.trust.authorities) { $0 ?? "none" }
    add("connect_timeout", old.connectTimeout, new.connectTimeout, \.written)
    add("read_timeout", old.readTimeout, new.readTimeout, \.written)
    add("idle_timeout", old.idleTimeout, new.idleTimeout, \.written)
    add("body", old.body, new.body) { "\($0)" }
  }

  private mutating func add(_ old: PublishConfiguration, _ new: PublishConfiguration) {
    add("publish", old.groups, new.groups) { $0.map(\.text).joined(separator: ", ") }
    add("channel_layer", old.layer, new.layer) { $0 }
    add("token", old.tokens, new.tokens) { "\($0.count) tokens" }
    add("protocol", old.wire, new.wire, \.rawValue)
    add("secret", old.secrets, new.secrets) { "\($0.count) secrets" }
    add("anonymous", old.isAnonymous, new.isAnonymous) { "\($0)" }
    add("allow", old.operations, new.operations) {
      $0.map(\.rawValue).sorted().joined(separator: ", ")
    }
    add("allowed_hosts", old.origins, new.origins, \.text)
    add("body", old.body, new.body) { "\($0)" }
  }
}

extension HTTPAction {
  /// The key that stands for it in a route.
  var name: String {
    switch self {
    case .staticFiles: "static"
    case .respond: "respond"
    case .redirect: "redirect"
    case .health: "health"
    case .proxy: "proxy"
    case .publish: "publish"
    case .events: "events"
    }
  }
}
