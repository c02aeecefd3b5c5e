import JSON
import Routing

/// Reads `receive:` and `connect:` of a WebSocket route.
struct ReceiveReader {
  /// What the words for an action can mean on the route.
  struct Meaning {
    var type: ConsumerType
    /// Whether the view of the route is asked about messages.
    var asks = false
    /// Whether the route has a first group, which events go to unless they name another one.
    var hasGroup = true
    /// The first members of messages that are for the gateway itself.
    var controls: [String] = []
  }

  let reading: Reading
  let templates: MessageTemplateReader
  let meaning: Meaning

  // MARK: - connect

  /// `connect: {send: [...]}`
  static func readGreetings(_ node: Node, _ templates: MessageTemplateReader) -> [MessageTemplate] {
    let reading = templates.reading
    guard
      let mapping = MappingCursor(node, .greeting, reading, shape: "connect: {send: [{id: \"{channel}\"}]}")
    else { return [] }
    let node = mapping.required("send", hint: "send: [{id: \"{channel}\"}]")
    mapping.finish()
    var templates = templates
    templates.hasFrame = false
    guard let node, let items = reading.list(node, "\"send\"") else { return [] }
    return items.map(templates.template)
  }

  // MARK: - receive

  func read(_ node: Node) -> ReceiveConfiguration? {
    let shape = "receive: {by: type, kinds: {ping: {reply: {type: pong}}}}"
    guard let mapping = MappingCursor(node, .receive, reading, shape: shape) else { return nil }
    let by = mapping.value("by").flatMap { reading.word($0, "\"by\"") }
    let kinds = mapping.entry("kinds").map(readKinds) ?? [:]
    let otherwise = mapping.value("else").flatMap { action($0, "\"else\"") }
    mapping.finish()
    if !kinds.isEmpty, mapping.entry("by") == nil {
      reading.findings.error(
        .missingKey, "\"receive\" needs \"by\": the member of a message that tells its kind",
        at: mapping.place, hint: "by: type")
    }
    if let entry = mapping.entry("by"), kinds.isEmpty, mapping.entry("kinds") == nil {
      reading.findings.error(
        .missingKey, "\"by\" needs \"kinds\"", at: entry.key.range,
        hint: "kinds: {ping: {reply: {type: pong}}}")
    }
    if let by, let entry = mapping.entry("by") { checkReach(by, at: entry.value.range) }
    return ReceiveConfiguration(by: by, kinds: kinds, otherwise: otherwise ?? standard)
  }

  /// What becomes of other messages where the file does not say it.
  private var standard: ReceiveAction {
    guard meaning.type == .view else { return .publish }
    return meaning.asks ? .ask : .error
  }

  /// Messages whose only member is one of these are for the gateway.
  private func checkReach(_ by: String, at range: SourceRange) {
    guard meaning.controls.contains(by) else { return }
    reading.findings.warning(
      .invalidValue,
      "a message with \"\(by)\" alone is for Sluice itself on this route, and never comes to these kinds",
      at: range, hint: "tell kinds apart by another member, such as type")
  }

  private func readKinds(_ entry: Node.Entry) -> [String: ReceiveAction] {
    guard let mapping = MappingCursor(entry.value, "\"kinds\"", reading, shape: "kinds: {KIND: ACTION}")
    else {
      return [:]
    }
    if mapping.entries.isEmpty {
      reading.findings.error(
        .invalidValue, "\"kinds\" is empty", at: entry.value.range,
        hint: "remove it, or say what a kind means: {ping: {reply: {type: pong}}}")
    }
    var kinds: [String: ReceiveAction] = [:]
    for kind in mapping.entries {
      // A key that is there twice has been reported already.
      kinds[kind.key.value] = action(kind.value, "the kind \"\(kind.key.value)\"") ?? .drop
    }
    return kinds
  }

  private func action(_ node: Node, _ what: String) -> ReceiveAction? {
    guard case .mapping = node.content else { return word(node, what) }
    guard let mapping = MappingCursor(node, .receiveAction, reading) else { return nil }
    let reply = mapping.entry("reply")
    let event = mapping.entry("event")
    var action: ReceiveAction?
    switch (reply, event) {
    case (let reply?, nil): action = .reply(templates.template(reply.value))
    case (nil, let event?): action = readEvent(event, mapping).map(ReceiveAction.event)
    case (nil, nil):
      if !mapping.isNearAlternative {
        reading.findings.error(
          .missingKey, "\(what) needs \"reply\" or \"event\"", at: mapping.place,
          hint: "reply: {type: pong}, or event: {type: chat.typing}, or one of the words \(words)")
      }
    case (_?, let event?):
      reading.findings.error(
        .conflictingKeys, "\(what) has \"reply\" and \"event\"", at: event.key.range,
        hint: "remove one of them")
    }
    mapping.finish()
    return action
  }

  private var words: String { known.map(\.rawValue).joined(separator: ", ") }

  private var known: [ReceiveAction.Word] {
    ReceiveAction.Word.allCases.filter { word in
      switch word {
      case .ask: meaning.asks
      case .publish: meaning.type != .view
      case .drop, .error: true
      }
    }
  }

  private func word(_ node: Node, _ what: String) -> ReceiveAction? {
    guard let word = reading.choice(node, what, of: ReceiveAction.Word.self) else { return nil }
    guard !known.contains(word) else { return ReceiveAction(word) }
    let (message, hint) =
      switch word {
      case .ask where meaning.type == .view:
        (
          "\"ask\" asks the view about messages, and \"on\" does not have \"receive\"",
          "add receive to \"on\""
        )
      case .ask: ("only the consumer \"view\" has somebody to ask", "write publish, drop or error")
      case .publish, .drop, .error:
        (
          "the consumer \"view\" publishes nothing by itself",
          "write an event: {event: {type: chat.message, ...}}"
        )
      }
    return reading.refuse(.conflictingKeys, message, at: node.range, hint: hint)
  }

  // MARK: - Events

  private func readEvent(_ entry: Node.Entry, _ action: MappingCursor) -> ReceivedEvent? {
    let to = action.value("to").flatMap { reading.choice($0, "\"to\"", of: EventAudience.self) }
    let isEphemeral = action.truth("ephemeral") ?? false
    let group = readGroup(action.entry("group"), at: entry.key.range)
    let shape = "event: {type: chat.typing, user: \"{user}\"}"
    guard let mapping = MappingCursor(entry.value, "an event", reading, shape: shape) else { return nil }
    guard let node = mapping.required("type", hint: "type: chat.typing") else { return nil }
    guard let type = reading.word(node, "the type of the event") else { return nil }
    reading.checkEventType(Located(type, at: node.range))
    var fields: [MessageTemplate.Member] = []
    for field in mapping.entries where field.key.value != "type" {
      check(field.key)
      fields.append(.init(key: field.key.value, value: templates.template(field.value)))
    }
    guard let group else { return nil }
    return ReceivedEvent(
      type: type, fields: fields, group: group, isToOthers: to == .others, isEphemeral: isEphemeral,
      range: entry.key.range)
  }

  private enum EventAudience: String, CaseIterable { case all, others }

  private func check(_ field: Located<String>) {
    guard field.value.isEmpty || field.value.hasPrefix("__") || field.value.hasPrefix("sluice.") else {
      return
    }
    reading.findings.error(
      .invalidValue, "an event cannot have a field called \"\(field.value)\"", at: field.range,
      hint: field.value == Self.ephemeralField
        ? "write ephemeral: true beside the event" : "choose another name")
  }

  private static let ephemeralField = "sluice.ephemeral"

  /// - Returns: nil for one that cannot be used, which has been reported.
  private func readGroup(_ entry: Node.Entry?, at range: SourceRange) -> ReceivedEvent.Group? {
    guard let entry else {
      guard !meaning.hasGroup else { return .first }
      return reading.refuse(
        .missingKey, "the event needs a \"group\": the route has none of its own", at: range,
        hint: "group: room_*, for the first group of the session with such a name")
    }
    guard let text = reading.word(entry.value, "\"group\"") else { return nil }
    if text.contains("{frame.") || text.contains("{state.") {
      return templates.parts(text, at: entry.value.range).map(ReceivedEvent.Group.named)
    }
    let reader = GroupReader(
      reading: reading, captures: templates.captures, hasIdentity: templates.hasIdentity)
    return reader.readPattern(entry.value, "\"group\"").map(ReceivedEvent.Group.matching)
  }
}
