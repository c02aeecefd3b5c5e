import Routing

/// Reads `publish:` of an HTTP route.
struct PublishReader {
  let context: RouteContext
  /// The names that the route captures; nil if they are not known.
  let captures: [String]?
  /// The settings that say how clients authenticate.
  let settings: RouteSettings

  var reading: Reading { context.reading }

  func read(_ entry: Node.Entry) -> PublishConfiguration? {
    guard let mapping = MappingCursor(entry.value, .publish, reading) else { return nil }
    let groups = mapping.required("groups", hint: "groups: [\"chat_*\"]").map {
      GroupReader(reading: reading, captures: captures, hasIdentity: settings.requiresAuthentication)
        .readPatterns($0, "\"groups\"")
    }
    var publish = PublishConfiguration(groups: groups ?? [])
    publish.origins = settings.origins
    publish.layer = context.layer(named: mapping.entry("channel_layer"), for: "publish", at: entry.key.range)
    let token = mapping.entry("token")
    if let token { publish.tokens = readTokens(token.value) }
    let secret = readWire(mapping, into: &publish)
    let anonymous = mapping.entry("anonymous")
    if let anonymous { publish.isAnonymous = reading.truth(anonymous.value, "\"anonymous\"") ?? false }
    let allow = mapping.entry("allow")
    if let allow { publish.operations = readOperations(allow.value) }
    if let size = mapping.byteCount("body") { publish.body = size }
    mapping.finish()
    check(token ?? secret, anonymous, allow, publish, at: entry.key.range)
    checkGrip(allow, publish, at: entry.key.range)
    return publish
  }

  /// Makes sure that a route is open to everyone only if that is intended.
  private func check(
    _ token: Node.Entry?, _ anonymous: Node.Entry?, _ allow: Node.Entry?, _ publish: PublishConfiguration,
    at range: SourceRange
  ) {
    if publish.isAnonymous, let anonymous, token != nil || settings.requiresAuthentication {
      reading.findings.error(
        .conflictingKeys,
        "\"anonymous\" lets everyone publish, so it cannot stand beside \"token\" or \"auth\"",
        at: anonymous.key.range, hint: "remove \"anonymous\", or \"\(token?.key.value ?? "auth")\"")
    }
    if let allow { checkOrders(allow, publish) }
    if let allow, publish.operations.contains(.events) { checkEvents(allow, publish) }
    if settings.auth.auth?.isOptional == true {
      reading.findings.error(
        .conflictingKeys, "\"publish\" needs a token, and \"auth_optional\" lets in clients without one",
        at: range, hint: "auth_optional: false")
    }
    if token == nil, !settings.requiresAuthentication, !publish.isAnonymous {
      reading.findings.error(
        .missingKey,
        "\"publish\" needs a \"\(publish.wire == .grip ? "secret" : "token")\": without it anyone could publish",
        at: range,
        hint: publish.wire == .grip
          ? "secret: {env: GRIP_KEY}, the key of GRIP_URL; or anonymous: true"
          : "token: {env: PUBLISH_TOKEN}, or auth: NAME beside \"publish\", or anonymous: true")
    }
  }

  /// Only somebody who is trusted should decide about the sessions of others.
  private func checkOrders(_ allow: Node.Entry, _ publish: PublishConfiguration) {
    for order in PublishConfiguration.Operation.allCases
    where PublishConfiguration.ordersAboutUsers.contains(order) && publish.operations.contains(order) {
      let name = order.rawValue
      if publish.isAnonymous {
        reading.findings.error(
          .conflictingKeys, "without a token, anyone could \(Self.words(for: order)) of every user",
          at: allow.key.range,
          hint: "remove \"\(name)\" from it, or write token: {env: PUBLISH_TOKEN} instead of \"anonymous\"")
      } else if let auth = settings.auth.auth, auth.requirements.isEmpty {
        reading.findings.warning(
          .conflictingKeys, "every user could \(Self.words(for: order)) of every other user",
          at: allow.key.range,
          hint: "add the claims that allow it, such as require: {is_staff: true}, or remove \"\(name)\"")
      }
    }
  }

  private static func words(for order: PublishConfiguration.Operation) -> String {
    switch order {
    case .mute: "refuse the messages"
    case .join, .leave: "change the groups"
    case .disconnect, .publish, .events, .groups, .presence, .history: "end the sessions"
    }
  }

  /// Only a trusted back end should publish whole events.
  private func checkEvents(_ allow: Node.Entry, _ publish: PublishConfiguration) {
    if !publish.operations.contains(.publish) {
      reading.findings.error(
        .conflictingKeys, "\"events\" allows events in what is published, and \"publish\" is not allowed",
        at: allow.key.range, hint: "allow: [publish, events]")
    }
    if !settings.requiresAuthentication {
      reading.findings.error(
        .conflictingKeys, "\"events\" is a right of users, and this route has no \"auth\"",
        at: allow.key.range,
        hint:
          "remove it: \(publish.isAnonymous ? "anybody may publish events here" : "a token may always publish events")"
      )
    }
    if let auth = settings.auth.auth, auth.requirements.isEmpty {
      reading.findings.warning(
        .conflictingKeys,
        "every user could publish events in another user's name, and close the sessions of a group",
        at: allow.key.range,
        hint:
          "take \"events\" out, so that users publish \"message\" and \"text\" only; or say whose claims allow it, such as require: {is_staff: true}"
      )
    }
  }

  /// One secret or a list of secrets, so that a new token can be introduced before the old one is removed.
  private func readTokens(_ node: Node) -> [String] {
    if node.items.isEmpty {
      reading.findings.error(
        .invalidValue, "the list of tokens is empty", at: node.range, hint: "token: {env: PUBLISH_TOKEN}")
    }
    return node.items.compactMap(reading.token)
  }

  private func readOperations(_ node: Node) -> Set<PublishConfiguration.Operation> {
    guard let items = reading.list(node, "\"allow\"") else { return [] }
    if items.isEmpty {
      reading.findings.error(
        .invalidValue, "\"allow\" is empty", at: node.range,
        hint: "known here: \(PublishConfiguration.Operation.allCases.map(\.rawValue).joined(separator: ", "))"
      )
    }
    var operations: Set<PublishConfiguration.Operation> = []
    for item in items {
      guard let operation = reading.choice(item, "\"allow\"", of: PublishConfiguration.Operation.self) else {
        continue
      }
      if !operations.insert(operation).inserted {
        reading.findings.error(
          .duplicateName, "\"\(operation.rawValue)\" is listed twice", at: item.range, hint: "remove one")
      }
    }
    return operations
  }
}
