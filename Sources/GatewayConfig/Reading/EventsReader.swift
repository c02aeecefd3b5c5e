import JSON
import Routing

/// Reads `events:`, a mapping from event types to the frames for clients.
struct EventsReader {
  let reading: Reading
  /// The key of the mapping.
  var key = "events"
  /// Whether a view keeps a value about each session, `{state.x}`.
  var hasState = false

  func read(_ node: Node) -> [String: EventTemplate] {
    let shape = "\(key): {TYPE: JSON}, or {TYPE: event}"
    guard let mapping = MappingCursor(node, "\"\(key)\"", reading, shape: shape) else { return [:] }
    var templates: [String: EventTemplate] = [:]
    var types: [String: Located<String>] = [:]
    reading.corrections.remember(node, "\"\(key)\"", [], takesEvents: true)
    for entry in mapping.entries {
      reading.checkEventType(entry.key)
      templates[entry.key.value] = top(entry.value)
      // A key that is there twice has been reported already.
      if let first = types.updateValue(entry.key, forKey: HandlerName.of(entry.key.value)),
        first.value != entry.key.value
      {
        reading.reportSameTypes(entry.key, first)
      }
    }
    return templates
  }

  private func top(_ node: Node) -> EventTemplate {
    guard case .scalar(let scalar) = node.content, scalar.style == .plain, !scalar.isUnusable else {
      return template(node)
    }
    if scalar.text == "event" { return .wholeEvent }
    let isTruth = ["true", "false", "yes", "no"].contains(scalar.text.lowercased())
    guard isTruth || NearestName.of(scalar.text, in: ["event"]) != nil else { return template(node) }
    reading.findings.error(
      .invalidValue,
      "\"\(scalar.text)\" is neither \"event\" nor a template: every client would get this text",
      at: node.range,
      hint: "write event for the whole event, or {field: \"{field}\"}; a fixed text stands in quotes")
    return .constant(.null)
  }

  /// Whether it is a JSON object or list that was put in quotes.
  private func isQuotedJSON(_ text: String) -> Bool {
    let squeezed = text.filter { $0 != " " }
    return squeezed.hasPrefix("{\"") && squeezed.hasSuffix("}") && squeezed.contains("\":")
      || squeezed.hasPrefix("[{\"") && squeezed.hasSuffix("]")
  }

  private func template(_ node: Node) -> EventTemplate {
    switch node.content {
    case .scalar(let scalar):
      guard !scalar.isUnusable, scalar.style == .quoted || scalar.text.contains("{") else {
        return .constant(reading.json(node))
      }
      guard !isQuotedJSON(scalar.text) else {
        reading.findings.error(
          .invalidValue, "this is JSON in quotes, which clients would get as one text", at: node.range,
          hint: "write it as YAML, without the outer quotes: {topic: \"{topic}\"}")
        return .constant(.null)
      }
      return text(scalar.text, at: node.range)
    case .sequence(let items): return .array(items.map(template))
    case .mapping(let entries):
      if reading.reportBraces(node) { return .constant(.null) }
      return .object(entries.map { .init(key: $0.key.value, value: template($0.value)) })
    }
  }

  private func text(_ text: String, at range: SourceRange) -> EventTemplate {
    guard var template = reading.textTemplate(text, at: range) else { return .constant(.null) }
    if hasState { template = withState(template) }
    for case .place(let name) in template.parts where name.hasPrefix("event.") {
      reading.findings.warning(
        .invalidValue, "\"{\(name)}\" is what a field \"event\" of the event contains", at: range,
        hint: "write {\(name.dropFirst("event.".count))} for a field of the event itself")
    }
    if text.hasPrefix("{{"), text.hasSuffix("}}"), template.parts.count == 1,
      case .literal(let literal) = template.parts[0]
    {
      reading.findings.warning(
        .invalidValue, "\"{{\" stands for a brace: clients get the text \"\(literal)\"", at: range,
        hint: "write \(literal) in quotes for the field of the event")
    }
    if template.parts.contains(.place("group")) {
      reading.findings.warning(
        .invalidValue, "an event does not carry the name of its group: \"{group}\" is null here", at: range,
        hint: "write {sluice.group}, or let the sender of the event add a field \"group\"")
    }
    for case .place(let name) in template.parts
    where name.hasPrefix("sluice.") && name != EventTemplate.groupPlace
      && !(hasState && name.hasPrefix(EventTemplate.statePrefix))
    {
      reading.findings.error(
        .invalidValue, "there is no place \"{\(name)}\": names with \"sluice.\" are Sluice's own", at: range,
        hint: "there is {\(EventTemplate.groupPlace)}, the group that the event came from")
    }
    if template.parts.count == 1, case .place(let name) = template.parts[0] { return .field(name) }
    return .text(template)
  }

  /// `{state.x}` is no field of the event where a view keeps something about each session.
  private func withState(_ template: TextTemplate) -> TextTemplate {
    TextTemplate(
      parts: template.parts.map { part in
        guard case .place(let name) = part, name.hasPrefix(MessagePlace.statePrefix) else { return part }
        return .place("sluice." + name)
      })
  }
}

extension Reading {
  /// Reports what cannot be the type of an event.
  func checkEventType(_ type: Located<String>) {
    let isWord = !type.value.isEmpty && type.value.utf8.allSatisfy(GroupName.isLegal)
    if !isWord || type.value.hasPrefix("_") || type.value.hasPrefix(".") {
      findings.error(
        .invalidValue, "\"\(type.value)\" is not a valid event type", at: type.range,
        hint: "use letters, digits, \".\", \"_\" and \"-\", and begin with a letter or a digit: chat.message")
    } else if HandlerName.of(type.value).hasPrefix(HandlerName.asgiPrefix) {
      findings.error(
        .invalidValue, "event types that begin with \"websocket.\" have a fixed meaning", at: type.range,
        hint: "choose another name")
    } else if HandlerName.isReserved(type.value) {
      findings.error(
        .invalidValue, "event types that begin with \"sluice.\" are Sluice's own", at: type.range,
        hint: "choose another name")
    }
  }

  func reportSameTypes(_ one: Located<String>, _ first: Located<String>) {
    findings.error(
      .duplicateName,
      "\"\(one.value)\" and \"\(first.value)\" are the same event type: \".\" and \"_\" are equal",
      at: one.range, hint: "remove one of them", related: [.init("the other one", at: first.range)])
  }
}
