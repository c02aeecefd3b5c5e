import JSON
import Routing

/// Reads `deliver:`, a mapping from event types to who gets them, and how.
struct DeliveryReader {
  let reading: Reading
  /// The templates of the route, by event type.
  let events: [String: EventTemplate]

  func read(_ node: Node) -> [String: DeliveryRule] {
    let shape = "deliver: {TYPE: {to: others}}"
    guard let mapping = MappingCursor(node, "\"deliver\"", reading, shape: shape) else { return [:] }
    var rules: [String: DeliveryRule] = [:]
    var types: [String: Located<String>] = [:]
    for entry in mapping.entries {
      reading.checkEventType(entry.key)
      if let first = types.updateValue(entry.key, forKey: HandlerName.of(entry.key.value)),
        first.value != entry.key.value
      {
        reading.reportSameTypes(entry.key, first)
      }
      if let rule = readRule(entry) { rules[entry.key.value] = rule }
    }
    return rules
  }

  private func readRule(_ entry: Node.Entry) -> DeliveryRule? {
    guard
      let mapping = MappingCursor(entry.value, .delivery, reading, shape: "\(entry.key.value): {to: others}")
    else { return nil }
    var rule = DeliveryRule()
    if let node = mapping.value("to") { rule.recipients = readRecipients(node) ?? .all }
    if let text = mapping.entry("text") { rule.text = readText(text, of: entry.key) }
    if let node = mapping.value("close") { rule.closing = readClosing(node) }
    mapping.finish()
    if mapping.entries.isEmpty {
      reading.findings.error(
        .missingKey, "\"\(entry.key.value)\" has no rule", at: entry.key.range,
        hint: "write to, text or close: {to: others}")
    }
    if rule.recipients == .others { checkTemplate(of: entry.key) }
    return rule
  }

  private func readRecipients(_ node: Node) -> DeliveryRule.Recipients? {
    guard case .mapping = node.content else {
      return reading.choice(node, "\"to\"", of: Word.self).map { _ in .others }
    }
    guard let mapping = MappingCursor(node, .recipient, reading, shape: "to: {user: \"{owner_id}\"}") else {
      return nil
    }
    let user = mapping.required("user", hint: "user: \"{owner_id}\", a field of the event")
    mapping.finish()
    guard let user, let text = reading.word(user, "\"user\""),
      let template = eventTemplate(text, at: user.range)
    else { return nil }
    guard template.places.isEmpty else { return .user(template) }
    reading.findings.error(
      .invalidValue, "\"\(text)\" is one user for all events", at: user.range,
      hint: "name the field of the event that holds the user: \"{\(text)}\"")
    return nil
  }

  private enum Word: String, CaseIterable { case others }

  private func readText(_ entry: Node.Entry, of type: Located<String>) -> TextTemplate? {
    if let known = events.keys.first(where: { HandlerName.of($0) == HandlerName.of(type.value) }) {
      reading.findings.error(
        .conflictingKeys, "\"\(known)\" has a frame already, which is JSON", at: entry.key.range,
        hint: "remove this, or the entry of the type in \"events\"")
    }
    guard let scalar = reading.textScalar(entry.value, "\"text\"") else { return nil }
    return eventTemplate(scalar.text, at: entry.value.range)
  }

  /// Text with fields of an event.
  private func eventTemplate(_ text: String, at range: SourceRange) -> TextTemplate? {
    guard let template = reading.textTemplate(text, at: range) else { return nil }
    for name in template.places
    where name.hasPrefix(HandlerName.reservedPrefix) || name == EventTemplate.addressPlace {
      return reading.refuse(
        .invalidValue, "\"{\(name)}\" is no field of an event", at: range,
        hint: "name fields of the event only: {text}, {data.owner_id}")
    }
    return template
  }

  /// `1000`, or `{code, reason}`.
  private func readClosing(_ node: Node) -> DeliveryRule.Closing? {
    guard case .mapping = node.content else {
      return readCode(node, "\"close\"").map { DeliveryRule.Closing(code: $0, reason: "") }
    }
    guard let mapping = MappingCursor(node, .closing, reading) else { return nil }
    let code = mapping.value("code").map { readCode($0, "\"code\"") } ?? 1000
    let reason = mapping.value("reason").flatMap { reading.text($0, "\"reason\"") } ?? ""
    mapping.finish()
    if reason.utf8.count > Self.longestReason {
      reading.findings.error(
        .outOfRange,
        "the reason has \(reason.utf8.count) bytes, and a close frame holds \(Self.longestReason)",
        at: node.range, hint: "make it shorter")
    }
    return code.map { DeliveryRule.Closing(code: $0, reason: reason) }
  }

  /// RFC 6455 section 5.5: a control frame has at most 125 bytes, two of them for the code.
  private static let longestReason = 123

  private func readCode(_ node: Node, _ what: String) -> UInt16? {
    guard let code = reading.integer(node, what, in: 1000...4999) else { return nil }
    guard code == 1000 || code >= 3000 else {
      return reading.refuse(
        .outOfRange, "\(code) is not a code for \(what)", at: node.range, hint: "1000, or 3000 to 4999")
    }
    return UInt16(code)
  }

  /// What leaves sessions out names their addresses, which no client learns.
  private func checkTemplate(of type: Located<String>) {
    let template = events.first { HandlerName.of($0.key) == HandlerName.of(type.value) }?.value
    guard template?.has(DeliveryRule.exceptField) == true else { return }
    reading.findings.error(
      .conflictingKeys,
      "with \"to: others\" the field \"except\" holds the addresses of sessions, which the frame would show",
      at: type.range, hint: "remove {except} from the frame of the event")
  }
}
