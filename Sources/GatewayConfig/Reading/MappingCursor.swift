/// Reads the keys of one mapping, remembers which keys it was asked for, and reports the others at the end.
final class MappingCursor {
  let reading: Reading
  let node: Node
  /// A name for the mapping, for sentences: "a websocket route".
  let what: String
  private let entries: [Node.Entry]
  private var known: [String] = []

  /// Where the keys of the file live, for a known key at a wrong place.
  private static let homes: [String: String] = [
    "bind": "server", "threads": "server", "tls": "server", "trusted_proxies": "server",
    "proxy_protocol": "an address of server.bind", "mode": "an address of server.bind", "per_ip": "limits",
    "handshakes": "limits.per_ip",
    "certificate": "server.tls", "certificates": "server.tls", "minimum_version": "server.tls",
    "grace": "shutdown", "code": "shutdown", "level": "logging", "sessions": "logging",
    "format": "logging", "message": "limits", "handshake": "limits", "ping": "limits", "send_queue": "limits",
    "connections": "limits", "keep_alive": "limits", "compression_memory": "limits",
    "history_memory": "limits", "body_memory": "limits", "send_memory": "limits", "receive_memory": "limits",
    "messages": "history", "seconds": "history",
    "history": "a websocket route, or in events of an http route",
    "threshold": "compression",
    "window": "compression",
    "context_takeover": "compression", "client_context_takeover": "compression",
    "compression": "a websocket route, or at the top level",
    "backend": "channel_layers.ALIAS",
    "config": "channel_layers.ALIAS",
    "hosts": "channel_layers.ALIAS.config", "prefix": "channel_layers.ALIAS.config",
    "http": "applications.NAME", "websocket": "applications.NAME", "consumer": "a websocket route",
    "group": "a websocket route", "presence": "a websocket route with consumer: chat",
    "subprotocols": "a websocket route", "static": "an http route",
    "respond": "an http route", "redirect": "an http route", "to": "a route with consumer: proxy",
    "health": "an http route", "heartbeat": "events of an http route", "retry": "events of an http route",
    "templates": "events of an http route",
    "proxy": "an http route",
    "auth": "the top level, and its names at routes",
    "jwt": "auth.NAME", "callback": "auth.NAME", "secret": "auth.NAME.jwt", "public_key": "auth.NAME.jwt",
    "jwks": "auth.NAME.jwt", "auth_optional": "a websocket route", "require": "a websocket route",
    "identity": "a websocket route",
    "channel_layer": "a websocket route", "installed_apps": "the top level",
    "asgi_application": "the top level",
    "channel_layers": "the top level", "applications": "the top level",
  ]

  /// Nil, with a finding, if the node is not a mapping.
  ///
  /// - Parameter shape: an example of such a mapping, for the hint.
  init?(_ node: Node, _ what: String, _ reading: Reading, shape: String? = nil) {
    guard case .mapping(let entries) = node.content else {
      if node.isUnusable { return nil }
      reading.findings.error(
        .wrongType, "expected a mapping of keys to values for \(what), found \(node.content.kind)",
        at: node.range,
        hint: Self.lacksColon(node) ?? shape.map { "write \($0)" })
      return nil
    }
    self.entries = reading.corrections.applied(to: entries, of: node)
    self.node = node
    self.what = what
    self.reading = reading
  }

  /// A hint for text like `key:value` or `key = value`, which YAML reads as one word.
  private static func lacksColon(_ node: Node) -> String? {
    guard case .scalar(let scalar) = node.content, scalar.style == .plain else { return nil }
    let key = scalar.text.prefix { $0 != ":" && $0 != "=" }
    let isKey = key.utf8.allSatisfy {
      $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: " ")
        || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
    }
    guard !key.isEmpty, isKey, key.count < scalar.text.count else { return nil }
    return scalar.text.dropFirst(key.count).first == "="
      ? "a key is followed by \":\", not by \"=\"" : "put a space after the \":\""
  }

  /// The entry of a key, if it is there; the key counts as known from now on.
  func entry(_ key: String) -> Node.Entry? {
    known.append(key)
    return entries.first { $0.key.value == key }
  }

  func value(_ key: String) -> Node? { entry(key)?.value }

  /// The value of a key that must be there.
  func required(_ key: String, hint: String? = nil) -> Node? {
    if let value = value(key) { return value }
    // A misspelt key is reported as unknown. That the right one is missing would be a second finding for one mistake.
    let strangers = entries.map(\.key.value).filter { !known.contains($0) }
    if NearestName.of(key, in: strangers) == nil {
      reading.findings.error(.missingKey, "\(what) needs \"\(key)\"", at: place, hint: hint)
    }
    return nil
  }

  /// The place for a finding about the whole mapping: its first key.
  var place: SourceRange { entries.first?.key.range ?? node.range }

  var keys: [Located<String>] { entries.map(\.key) }
  var all: [Node.Entry] { entries }

  /// Reports every key that was not asked for.
  func finish() {
    let known = Set(known)
    reading.remember(node, what, known)
    var missing = known.subtracting(entries.map(\.key.value))
    for entry in entries where !known.contains(entry.key.value) {
      let name = entry.key.value
      guard reading.findings.hasRoomForErrors else {
        reading.findings.error(.unknownKey, "unknown key \"\(name)\" in \(what)", at: entry.key.range)
        continue
      }
      let finding = finding(for: entry, known)
      reading.findings.add(finding)
      if let owner = reading.corrections.owner(of: entry) {
        reading.move(entry, into: owner.node, finding)
      } else if let meant = meant(by: name, known), missing.remove(meant) != nil {
        reading.correct(entry, to: meant, finding)
      }
    }
  }

  /// The key that was probably meant by an unknown one.
  private func meant(by name: String, _ known: Set<String>) -> String? {
    Habits.key(for: name, in: known) ?? NearestName.of(name, in: known.sorted())
  }

  /// A long list of keys is shown once for a mapping.
  private func isFirstStranger(_ entry: Node.Entry, _ known: Set<String>) -> Bool {
    entries.first { !known.contains($0.key.value) }?.key.range == entry.key.range
  }

  private func finding(for entry: Node.Entry, _ known: Set<String>) -> Finding {
    let name = entry.key.value
    if let owner = reading.corrections.owner(of: entry) {
      return Finding(
        .error, .unknownKey, "unknown key \"\(name)\" in \(what)", at: entry.key.range,
        hint: "indent it to column \(owner.node.range.start.column): it is a key of \(owner.what)")
    }
    if name.contains("=") {
      return Finding(
        .error, .unknownKey, "unknown key \"\(name)\" in \(what)", at: entry.key.range,
        hint: "a key is followed by \":\", not by \"=\"")
    }
    var hint = meant(by: name, known).map { "did you mean \"\($0)\"?" } ?? Habits.hint(for: name)
    if hint == nil, let home = Self.homes[name], !what.hasPrefix("the config of") {
      hint = "\"\(name)\" belongs under \(home)"
    }
    return Finding(
      .error, .unknownKey, "unknown key \"\(name)\" in \(what)", at: entry.key.range,
      hint: hint
        ?? NearestName.hint(for: name, in: known.sorted(), atMost: isFirstStranger(entry, known) ? 40 : 24))
  }
}
