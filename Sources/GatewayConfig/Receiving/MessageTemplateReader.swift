import JSON
import Routing

/// Reads templates for what is said to a client, or made of what it says.
struct MessageTemplateReader {
  let reading: Reading
  /// The names that the route captures; nil if they are not known.
  let captures: [String]?
  /// Whether the clients of the route authenticate; nil if this is not known.
  var hasIdentity: Bool?
  /// Whether a view keeps a value about each session.
  var hasState = false
  /// Whether there is a message.
  var hasFrame = true

  func template(_ node: Node) -> MessageTemplate {
    switch node.content {
    case .scalar(let scalar):
      guard !scalar.isUnusable, scalar.style == .quoted || scalar.text.contains("{") else {
        return .constant(reading.json(node))
      }
      guard let parts = parts(scalar.text, at: node.range) else { return .constant(.null) }
      switch (parts.count, parts.first) {
      case (0, _): return .constant(.string(""))
      case (1, .place(let place)?): return .place(place)
      case (1, .literal(let text)?): return .constant(.string(text))
      default: return .text(parts)
      }
    case .sequence(let items): return .array(items.map(template))
    case .mapping(let entries):
      if reading.reportBraces(node) { return .constant(.null) }
      return .object(entries.map { .init(key: $0.key.value, value: template($0.value)) })
    }
  }

  /// Text with places.
  func parts(_ text: String, at range: SourceRange) -> [MessageTemplate.Part]? {
    guard let template = reading.textTemplate(text, at: range) else { return nil }
    var parts: [MessageTemplate.Part] = []
    for part in template.parts {
      switch part {
      case .literal(let text): parts.append(.literal(text))
      case .place(let name):
        guard let place = place(name, at: range) else { return nil }
        parts.append(.place(place))
      }
    }
    return parts
  }

  // MARK: - Places

  private static let own: [String: MessagePlace] = [
    EventTemplate.addressPlace: .address, "sluice.time": .time, "sluice.timestamp": .timestamp,
    "sluice.id": .id, EventTemplate.groupPlace: .group,
  ]

  private func place(_ name: String, at range: SourceRange) -> MessagePlace? {
    if let place = Self.own[name] { return checked(place, name, at: range) }
    if let rest = name.rest(behind: MessagePlace.framePrefix) {
      guard !hasFrame else { return .frame(rest) }
      return reading.refuse(
        .invalidValue, "there is no message yet that \"\(name)\" could be of", at: range,
        hint: "remove it: this is said before the client has sent anything")
    }
    if let rest = name.rest(behind: MessagePlace.statePrefix) { return state(rest, at: range) }
    if let rest = name.rest(behind: GroupPattern.claimPrefix) {
      return hasIdentity == false ? needsIdentity(name, at: range) : .claim(rest)
    }
    if name == GroupPattern.user, hasIdentity == true || captures?.contains(name) == false {
      return hasIdentity == false ? needsIdentity(name, at: range) : checked(.user, name, at: range)
    }
    guard let captures else { return .capture(name) }
    return captures.contains(name) ? .capture(name) : unknown(name, captures, at: range)
  }

  /// A name that is a capture as well would be one thing or the other, without a word about it.
  private func checked(_ place: MessagePlace, _ name: String, at range: SourceRange) -> MessagePlace? {
    guard captures?.contains(name) == true else { return place }
    let what = place == .user ? "the user of the token" : "the address of the session"
    return reading.refuse(
      .conflictingKeys, "{\(name)} is both a capture of the path and \(what)", at: range,
      hint: "give the capture another name: <slug:name>")
  }

  private func needsIdentity(_ name: String, at range: SourceRange) -> MessagePlace? {
    reading.refuse(
      .missingKey, "\"{\(name)}\" depends on the user, and the route has no \"auth\"", at: range,
      hint: "add auth: NAME, the name of one of the authenticators under \"auth\"")
  }

  private func state(_ path: String, at range: SourceRange) -> MessagePlace? {
    guard !hasState else { return .state(path) }
    return reading.refuse(
      .invalidValue, "\"{state.\(path)}\" is what a view has answered, and this route asks none", at: range,
      hint: "it belongs to a route with consumer: view")
  }

  private func unknown(_ name: String, _ captures: [String], at range: SourceRange) -> MessagePlace? {
    if name.hasPrefix(HandlerName.reservedPrefix) {
      let known = Self.own.keys.filter { $0.hasPrefix(HandlerName.reservedPrefix) }
      return reading.refuse(
        .invalidValue, "there is no place \"\(name)\": names with \"sluice.\" are Sluice's own", at: range,
        hint: NearestName.hint(for: name, in: known))
    }
    // What a client says of its user, anybody could say.
    if let member = name.rest(behind: "user.") {
      return reading.refuse(
        .unknownName, "there is nothing called \"\(name)\" here", at: range,
        hint: hasIdentity == false
          ? "{user} and {claims.NAME} are known on a route with \"auth\""
          : "write {user} for the user, and {claims.\(member)} for what the token or the callback says of them"
      )
    }
    let known =
      captures + Self.own.keys + (hasIdentity == false ? [] : [GroupPattern.user])
      + (hasFrame ? ["frame.\(name)"] : [])
    let hint =
      ["frame", "state", "claims"].contains(name)
      ? "write the member, too: {\(name).NAME}"
      : NearestName.of(name, in: known).map { "did you mean {\($0)}?" }
    return reading.refuse(
      .unknownName, "there is nothing called \"\(name)\" here", at: range,
      hint: hint
        ?? (hasFrame
          ? "write {frame.\(name)} for the member \"\(name)\" of the message"
          : "known here: \(known.sorted().joined(separator: ", "))"))
  }
}

extension String {
  /// What follows a prefix; nil if there is nothing, or another beginning.
  fileprivate func rest(behind prefix: String) -> String? {
    hasPrefix(prefix) && utf8.count > prefix.utf8.count ? String(dropFirst(prefix.count)) : nil
  }
}
