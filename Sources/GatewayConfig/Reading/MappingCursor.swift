/// Reads the keys of one mapping, remembers which keys it was asked for, and reports the others at the end.
final class MappingCursor {
  let reading: Reading
  let node: Node
  /// A name for the mapping, for sentences: "a websocket route".
  let what: String
  private let entries: [Node.Entry]
  private var known: [String] = []

  /// Where the keys of the file live, for a known key at a wrong place: what follows "belongs".
  private static let homes: [String: String] = {
    var homes: [String: String] = [:]
    for (home, keys) in keysOfHomes { for key in keys { homes[key] = home } }
    return homes
  }()

  private static let keysByFoldedName = Dictionary(
    homes.keys.map { (NearestName.folded($0), $0) }, uniquingKeysWith: { first, _ in first })

  private static let keysOfHomes: [String: [String]] = [
    "at the top level": [
      "installed_apps", "asgi_application", "channel_layers", "applications", "server", "shutdown", "logging",
    ],
    "at the top level, under applications.NAME.websocket, or at a route": ["limits"],
    "at the top level, and its names at routes": ["auth"],
    "under a websocket route, or at the top level": ["compression"],
    "under server": ["bind", "threads", "tls", "trusted_proxies"],
    "under an address of server.bind": ["proxy_protocol", "mode"],
    "under server.tls": ["certificate", "certificates", "minimum_version", "passphrase"],
    "under shutdown": ["grace", "code"],
    "under logging": ["format", "sessions"],
    "under logging or compression": ["level"],
    "under limits": [
      "connections", "per_ip", "handshake", "keep_alive", "message", "ping", "send_queue", "send_memory",
      "receive_memory", "body_memory", "history_memory", "compression_memory",
    ],
    "under limits.per_ip": ["handshakes"],
    "under compression": ["threshold", "window", "context_takeover", "client_context_takeover"],
    "under channel_layers.ALIAS": ["backend", "config"],
    "under channel_layers.ALIAS.config": [
      "hosts", "prefix", "capacity", "channel_capacity", "group_expiry", "symmetric_encryption_keys",
      "serializer_format", "random_prefix_length",
    ],
    "under applications.NAME": ["http", "websocket"],
    "under a route": ["path", "re_path", "include", "routes", "shared"],
    "under a websocket route": [
      "consumer", "group", "auth_optional", "require", "identity", "channel_layer", "subprotocols",
      "subscribe",
    ],
    "under a websocket route with consumer: chat": ["presence"],
    "under a websocket route, or in events of an http route": ["history"],
    "under a route, or around routes": ["allowed_hosts"],
    "under a route with consumer: proxy": ["to"],
    "under proxy of an http route": ["read_timeout"],
    "under proxy or auth.NAME.callback": ["idle_timeout"],
    "under history": ["messages", "seconds"],
    "under an http route": ["static", "respond", "redirect", "health", "proxy"],
    "under events of an http route": ["heartbeat", "retry", "templates"],
    "under publish of an http route": ["token", "anonymous", "allow"],
    "under static of an http route": ["fallback", "folder"],
    "under auth.NAME": ["jwt", "callback"],
    "under auth.NAME.jwt": [
      "secret", "public_key", "jwks", "algorithms", "audience", "issuer", "leeway", "refresh",
    ],
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
    guard !key.isEmpty, isKey, key.count < scalar.text.count,
      !scalar.text.dropFirst(key.count).hasPrefix("://")
    else { return nil }
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

  /// The entries of a mapping with free names, without those that belong to the entry before them.
  ///
  /// An entry whose value does not fit, and whose name is a key of what stands before it, is indented too little. It is reported
  /// once, and read at its right place in the next round.
  ///
  /// - Parameter isFit: whether a value may be that of an entry.
  func readEntries<Value>(_ isFit: (Node) -> Bool, _ read: (Node.Entry) -> Value?) -> [Value] {
    entries.compactMap { entry in
      guard !isFit(entry.value), let owner = reading.corrections.owner(of: entry) else { return read(entry) }
      let finding = Finding(
        .error, .unknownKey,
        "\"\(entry.key.value)\" is a key of \(owner.what), and stands among the names of \(what)",
        at: entry.key.range, hint: "indent it to column \(owner.node.range.start.column)")
      reading.findings.add(finding)
      reading.move(entry, into: owner.node, finding)
      return nil
    }
  }

  /// Whether the mapping has the keys of an entry where the names of entries are expected, which is reported once.
  ///
  /// - Parameters:
  ///   - isFit: whether a value may be that of an entry.
  ///   - of: what the name would name, with its article: "an application".
  func lacksName(_ keys: [String], _ isFit: (Node) -> Bool, of kind: String, example: String) -> Bool {
    guard let first = entries.first, keys.contains(first.key.value), !isFit(first.value) else { return false }
    reading.findings.error(
      .missingKey, "\(what) needs the name of \(kind) before \"\(first.key.value)\"", at: first.key.range,
      hint: "write \(example), with a name of your choice")
    return true
  }

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
    let sorted = known.sorted()
    return NearestName.same(as: name, in: sorted) ?? Habits.key(for: name, in: known)
      ?? NearestName.of(name, in: sorted)
  }

  /// Where a key of another mapping belongs.
  private func homeHint(for name: String) -> String? {
    guard let meant = Self.keysByFoldedName[NearestName.folded(name)], let home = Self.homes[meant] else {
      return nil
    }
    // They have the keys of other programs, which are as likely.
    let isForeign = what.hasPrefix("the config of") || what == "a host"
    guard !isForeign || home.contains("at the top level") else { return nil }
    return meant == name
      ? "\"\(name)\" belongs \(home)" : "did you mean \"\(meant)\"? It belongs \(home)"
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
    if what == "\"server\"", let own = Habits.serverHint(for: name) { hint = own }
    if hint == nil { hint = homeHint(for: name) }
    return Finding(
      .error, .unknownKey, "unknown key \"\(name)\" in \(what)", at: entry.key.range,
      hint: hint
        ?? NearestName.hint(for: name, in: known.sorted(), atMost: isFirstStranger(entry, known) ? 40 : 24))
  }
}
