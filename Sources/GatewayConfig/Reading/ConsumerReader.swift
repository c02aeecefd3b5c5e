import JSON
import Routing

/// The consumer that was read, and the places of its groups.
struct ReadConsumer {
  var consumer: ConsumerConfiguration
  var groups: [Located<GroupPattern>] = []
  /// The option that needs authenticated clients.
  var needsIdentity: Located<String>?
  var options: RouteOptions
  /// The place of `unsigned: true`.
  var unsigned: SourceRange?
}

/// Reads `consumer:` and the options beside it.
struct ConsumerReader {
  let context: RouteContext
  /// The names that the route captures; nil if they are not known.
  let captures: [String]?
  /// Whether the clients of the route authenticate; nil if this is not known.
  var hasIdentity: Bool?
  /// `limits:` of the route's sessions.
  var limits = SessionLimits()
  /// Whether a preset is read without a route, which may add missing options.
  var isPreset = false

  private var reading: Reading { context.reading }

  func read(_ answer: Node.Entry, _ mapping: MappingCursor) -> ReadConsumer? {
    var own = ConsumerOptions(mapping)
    let range = answer.value.range
    guard let name = reading.word(answer.value, "\"consumer\"") else { return nil }
    if let type = ConsumerType(rawValue: name) {
      if type == .view { reportCallback(mapping, &own) }
      return read(type, named: range, own)
    }
    if let preset = preset(name) { return read(preset, at: range, own) }
    let known = context.apps.consumerNames
    let (likely, isClass) = Self.withoutPython(name)
    let meant = known.contains(likely) ? likely : NearestName.of(likely, in: known)
    reading.findings.error(
      .unknownName, "there is no consumer \"\(name)\"", at: range,
      hint: isClass
        ? "consumers are names here, not Python classes: \(meant ?? known.sorted().joined(separator: ", "))"
        : NearestName.hint(for: name, in: known))
    // The options are read as if the name were right.
    guard let meant else { return nil }
    if let type = ConsumerType(rawValue: meant) { return read(type, named: range, own, isInstalled: true) }
    return preset(meant).flatMap { read($0, at: range, own) }
  }

  /// The likely name of a consumer that is written as in Python: `chat` for `consumers.ChatConsumer.as_asgi()`.
  private static func withoutPython(_ written: String) -> (likely: String, isClass: Bool) {
    let isCall = written.contains(".as_asgi") || written.hasSuffix("()")
    let isClass = isCall || written.hasSuffix("Consumer")
    guard isClass else { return (written, false) }
    let path = (written.firstRange(of: ".as_asgi").map { written[..<$0.lowerBound] } ?? written[...])
    var name = path.split(separator: ".").last ?? path
    if name.hasSuffix("()") { name.removeLast(2) }
    if name.hasSuffix("Consumer"), name.count > 8 { name.removeLast(8) }
    return (name.lowercased(), true)
  }

  /// Reads a preset only to find its mistakes.
  func check(_ preset: Node.Entry) {
    guard let mapping = MappingCursor(preset.value, .preset, reading) else { return }
    let (type, options) = readPreset(mapping)
    if let type { _ = read(type, named: mapping.place, options) }
  }

  private func preset(_ name: String) -> Node.Entry? {
    for app in context.apps.local where name.hasPrefix(app.name + ".") {
      let wanted = name.dropFirst(app.name.count + 1)
      if let preset = app.presets.first(where: { $0.key.value == wanted }) { return preset }
    }
    return nil
  }

  private func read(_ preset: Node.Entry, at range: SourceRange, _ own: ConsumerOptions) -> ReadConsumer? {
    guard let mapping = MappingCursor(preset.value, .preset, reading) else { return nil }
    let (type, options) = readPreset(mapping)
    return type.flatMap { read($0, named: range, own.over(options)) }
  }

  private func readPreset(_ mapping: MappingCursor) -> (type: ConsumerType?, options: ConsumerOptions) {
    let options = ConsumerOptions(mapping)
    let type = mapping.required("consumer", hint: "consumer: chat").flatMap {
      reading.choice($0, "\"consumer\"", of: ConsumerType.self)
    }
    mapping.finish()
    return (type, options)
  }

  private func read(
    _ type: ConsumerType, named range: SourceRange, _ options: ConsumerOptions, isInstalled: Bool = false
  ) -> ReadConsumer? {
    if !isPreset, !isInstalled { checkInstalled(type, at: range) }
    for entry in options.unfit(for: type) where entry.key.value != "publish" || !reportHTTPPublish(entry) {
      reading.findings.error(
        .conflictingKeys, "the consumer \"\(type.rawValue)\" has no option \"\(entry.key.value)\"",
        at: entry.key.range, hint: hint(for: entry, of: type, options))
    }
    let values = options.values(for: type, reading)
    switch type {
    case .echo: return ReadConsumer(consumer: .echo, options: values)
    case .proxy:
      return readUpstream(range, options, values).map { ReadConsumer(consumer: .proxy($0), options: values) }
    case .view:
      guard let (group, templates) = readGroups(type, range, options, values),
        let view = ViewReader(context: context, captures: captures, limits: limits, isPreset: isPreset)
          .read(range, options, values)
      else { return nil }
      return ReadConsumer(
        consumer: .view(group, view), groups: templates, options: values,
        unsigned: view.isUnsigned ? options["unsigned"]?.key.range : nil)
    case .chat:
      guard let (group, templates) = readGroups(type, range, options, values) else { return nil }
      let identity = options["identity"].map { Located("\"identity\"", at: $0.key.range) }
      return ReadConsumer(consumer: .chat(group), groups: templates, needsIdentity: identity, options: values)
    case .broadcast:
      let policy = options["publish"].flatMap { publish -> ConsumerConfiguration.PublishPolicy? in
        guard !reportHTTPPublish(publish) else { return nil }
        return reading.choice(publish.value, "\"publish\"", of: ConsumerConfiguration.PublishPolicy.self)
      }
      guard let (read, templates) = readGroups(type, range, options, values) else { return nil }
      var group = read
      group.takesMessages = policy != .nobody || group.receivesEvents
      return ReadConsumer(
        consumer: .broadcast(group, publish: policy ?? .everyone), groups: templates,
        needsIdentity: options["publish"].map { Located("\"publish: authenticated\"", at: $0.key.range) },
        options: values)
    }
  }

  /// What to do about an option of another consumer: `proxy` has `to`, and `view` has `url`.
  private func hint(for entry: Node.Entry, of type: ConsumerType, _ options: ConsumerOptions) -> String {
    let written = entry.value.word
    switch (type, entry.key.value) {
    case (.view, "to") where options["url"] == nil:
      return "write url: \(written.map(ViewReader.asURL) ?? ViewReader.example)"
    case (.proxy, "url") where options["to"] == nil:
      return "write to: \(written.map(UpstreamReader.asWebSocketURL) ?? UpstreamReader.webSocketExample)"
    default: return "remove it"
    }
  }

  /// Reports `callback` beside `consumer: view`: both ask a view, each in a place of its own.
  private func reportCallback(_ mapping: MappingCursor, _ options: inout ConsumerOptions) {
    guard let entry = mapping.undeclared("callback") else { return }
    let url = entry.value.entry("url")?.value ?? entry.value
    reading.findings.error(
      .unknownKey, "\"callback\" asks who a client is, and belongs under auth.NAME", at: entry.key.range,
      hint: options["url"] == nil
        ? "write url: \(url.word.map(ViewReader.asURL) ?? ViewReader.example) for the view that \"consumer: view\" asks"
        : "remove it, or move it there")
    // The rest is read as if it were right.
    options.add("url", url, writtenIn: entry)
  }

  private func checkInstalled(_ type: ConsumerType, at range: SourceRange) {
    guard !context.apps.builtIn.contains(type), !context.apps.misspelt.contains(type),
      let list = context.apps.range
    else { return }
    reading.findings.error(
      .appNotInstalled, "the app \"\(type.rawValue)\" is not in installed_apps", at: range,
      hint: "add \"\(type.rawValue)\" to installed_apps in line \(list.start.line)")
  }

  /// Reports the `publish` of an HTTP route at a WebSocket route.
  private func reportHTTPPublish(_ entry: Node.Entry) -> Bool {
    guard case .mapping = entry.value.content else { return false }
    reading.findings.error(
      .wrongType, "\"publish\" with groups does not belong under \"websocket\"", at: entry.key.range,
      hint: "write it at a route of its own under \"http\"")
    return true
  }

  private func readUpstream(
    _ range: SourceRange, _ options: ConsumerOptions, _ values: RouteOptions
  ) -> UpstreamConfiguration? {
    let reader = UpstreamReader(reading: reading, captures: captures)
    guard let to = options["to"] else {
      // Whoever writes "url" has been told so.
      guard !isPreset, options["url"] == nil else { return nil }
      return reading.refuse(
        .missingKey, "the consumer \"proxy\" needs \"to\", the address of the upstream", at: range,
        hint: UpstreamReader.webSocketExample)
    }
    var upstream = reader.readWebSocket(to.value, host: options["host"]?.value, tls: options["tls"]?.value)
    upstream?.connectTimeout = values[.connectTimeout]
    context.checkConnectTimeout(options, values)
    return upstream
  }

  /// The groups of a route, with what it says to its clients by itself.
  private func readGroups(
    _ type: ConsumerType, _ range: SourceRange, _ options: ConsumerOptions, _ values: RouteOptions
  ) -> (GroupConfiguration, [Located<GroupPattern>])? {
    let templates = MessageTemplateReader(
      reading: reading, captures: captures, hasIdentity: hasIdentity, hasState: type == .view)
    let greetings = options["connect"].map { ReceiveReader.readGreetings($0.value, templates) } ?? []
    let controls: [String: [String]] = [
      "subscribe": ["subscribe", "unsubscribe"], "presence": ["presence"],
    ]
    let meaning = ReceiveReader.Meaning(
      type: type, asks: type == .view && options["on"]?.value.items.contains { $0.isWord("receive") } ?? true,
      hasGroup: options["group"] != nil || isPreset,
      controls: controls.flatMap { options[$0.key] == nil ? [] : $0.value }
        + (hasIdentity == true ? ["auth"] : []))
    let receive = options["receive"].flatMap {
      ReceiveReader(reading: reading, templates: templates, meaning: meaning).read($0.value)
    }
    guard let (read, located) = readOnlyGroups(type, range, options, values) else { return nil }
    var group = read
    if let entry = options["deliver"] {
      group.deliveries = DeliveryReader(reading: reading, events: group.events).read(entry.value)
    }
    group.greetings = greetings
    group.receive = receive
    if type == .view { group.takesMessages = group.receivesEvents }
    if !isPreset { reading.reportUnreachable(group) }
    return (group, located)
  }

  private func readOnlyGroups(
    _ type: ConsumerType, _ range: SourceRange, _ options: ConsumerOptions, _ values: RouteOptions
  ) -> (GroupConfiguration, [Located<GroupPattern>])? {
    let layer = context.layer(
      named: options["channel_layer"], for: type.rawValue, at: range, isPreset: isPreset)
    let events =
      options["events"].map { EventsReader(reading: reading, hasState: type == .view).read($0.value) } ?? [:]
    let reader = GroupReader(reading: reading, captures: captures, hasIdentity: hasIdentity)
    let subscribe = options["subscribe"].map { reader.readPatterns($0.value, "\"subscribe\"") } ?? []
    let fromView = options["groups_from_view"].flatMap { reader.readFromView($0, isAsked: type == .view) }
    let history = options["history"].flatMap { HistoryReader.read($0.value, reading) }
    guard let entry = options["group"] else {
      if type == .view {
        let configuration = GroupConfiguration(
          layer: layer, templates: [], takesMessages: false, subscribe: subscribe, fromView: fromView,
          events: events, options: values, history: history)
        return (configuration, [])
      }
      guard !isPreset else { return nil }
      return reading.refuse(
        .missingKey, "\"\(type.rawValue)\" needs a \"group\"", at: range, hint: reader.example(type.rawValue))
    }
    guard let templates = reader.readTemplates(entry.value) else { return nil }
    let configuration = GroupConfiguration(
      layer: layer, templates: templates.map(\.value), takesMessages: type != .view, subscribe: subscribe,
      fromView: fromView, events: events, options: values, history: history)
    return (configuration, templates)
  }
}

extension Reading {
  /// Text with `{name}` places; `{{` and `}}` are braces.
  func textTemplate(_ text: String, at range: SourceRange) -> TextTemplate? {
    var parts: [TextTemplate.Part] = []
    var literal = ""
    var rest = text[...]
    while let character = rest.first {
      rest = rest.dropFirst()
      if character == "{" || character == "}", rest.first == character {
        literal.append(character)
        rest = rest.dropFirst()
      } else if character == "{" {
        guard let end = rest.firstIndex(of: "}"), end > rest.startIndex else {
          return refuse(
            .invalidValue, "the \"{\" is not followed by NAME}", at: range,
            hint: "write \"{{\" for the brace itself")
        }
        if !literal.isEmpty { parts.append(.literal(literal)) }
        literal = ""
        parts.append(.place(String(rest[..<end])))
        rest = rest[rest.index(after: end)...]
      } else if character == "}" {
        return refuse(
          .invalidValue, "the \"}\" has no \"{\" before it", at: range,
          hint: "write \"}}\" for the brace itself")
      } else {
        literal.append(character)
      }
    }
    if !literal.isEmpty { parts.append(.literal(literal)) }
    return TextTemplate(parts: parts)
  }

  /// Reports `{name}` without quotes as a value.
  ///
  /// - Returns: whether the value is one.
  func reportBraces(_ node: Node) -> Bool {
    guard let name = node.bracedName else { return false }
    findings.error(
      .yamlSurprise, "expected a value, found a mapping with the key \"\(name)\" and no value",
      at: node.range, hint: Self.braceHint(name))
    return true
  }

  /// A YAML value as JSON. Ambiguous values are reported.
  func json(_ node: Node) -> JSON {
    switch node.content {
    case .sequence(let items): return .array(items.map(json))
    case .mapping(let entries):
      if reportBraces(node) { return .null }
      return .object(entries.map { .init(key: $0.key.value, value: json($0.value)) })
    case .scalar(let scalar):
      guard !scalar.isUnusable else { return .null }
      guard scalar.style == .plain else { return .string(scalar.text) }
      switch scalar.text {
      case "true": return .bool(true)
      case "false": return .bool(false)
      case "null": return .null
      default: break
      }
      if let ambiguity = AmbiguousScalar(scalar, where: .json) {
        return refuse(
          ambiguity, "the value", scalar, at: node.range,
          hint: ambiguity.isNumber
            ? "write the number as in JSON, or put it in quotes"
            : "write true, false or null, or put it in quotes") ?? .null
      }
      switch JSON.readNumber(scalar.text) {
      case .notANumber: return .string(scalar.text)
      case .number(let number): return number
      case .outOfRange:
        findings.error(
          .outOfRange, "the number \(scalar.text)\(origin(scalar)) is too large", at: node.range,
          hint: "put it in quotes")
        return .null
      }
    }
  }
}
