import JSON
import Routing

/// The consumer that was read, and the places of its groups.
struct ReadConsumer {
  var consumer: ConsumerConfiguration
  var groups: [Located<GroupPattern>] = []
  /// The option that needs authenticated clients.
  var needsIdentity: Located<String>?
  var options: RouteOptions
}

/// Reads `consumer:` and the options beside it.
struct ConsumerReader {
  let context: RouteContext
  /// The names that the route captures; nil if they are not known.
  let captures: [String]?
  /// Whether the clients of the route authenticate; nil if this is not known.
  var hasIdentity: Bool?
  /// Whether a preset is read without a route, which may add missing options.
  var isPreset = false

  private var reading: Reading { context.reading }

  func read(_ answer: Node.Entry, _ mapping: MappingCursor) -> ReadConsumer? {
    let own = Options(mapping)
    let range = answer.value.range
    guard let name = reading.word(answer.value, "\"consumer\"") else { return nil }
    if let type = ConsumerType(rawValue: name) { return read(type, named: range, own) }
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

  /// The options of a consumer, by their keys. Those of a route override those of a preset.
  private struct Options {
    private var entries: [String: Node.Entry] = [:]

    init(_ mapping: MappingCursor) {
      for key in Key.options(at: .preset) { entries[key.name] = mapping.entry(key.name) }
    }

    subscript(key: String) -> Node.Entry? { entries[key] }

    func over(_ preset: Options) -> Options {
      var merged = self
      merged.entries.merge(preset.entries) { own, _ in own }
      return merged
    }

    /// The options that a consumer does not have.
    func unfit(for type: ConsumerType) -> [Node.Entry] {
      Key.options(at: .preset).compactMap { $0.consumers?.contains(type) == false ? entries[$0.name] : nil }
    }

    /// Those options of the consumer that are single values.
    func values(for type: ConsumerType, _ reading: Reading) -> RouteOptions {
      var values = RouteOptions()
      for key in Key.options(at: .preset) where key.consumers?.contains(type) == true {
        if let entry = entries[key.name] { values.read(entry.value, of: key, reading) }
      }
      return values
    }
  }

  private func preset(_ name: String) -> Node.Entry? {
    for app in context.apps.local where name.hasPrefix(app.name + ".") {
      let wanted = name.dropFirst(app.name.count + 1)
      if let preset = app.presets.first(where: { $0.key.value == wanted }) { return preset }
    }
    return nil
  }

  private func read(_ preset: Node.Entry, at range: SourceRange, _ own: Options) -> ReadConsumer? {
    guard let mapping = MappingCursor(preset.value, .preset, reading) else { return nil }
    let (type, options) = readPreset(mapping)
    return type.flatMap { read($0, named: range, own.over(options)) }
  }

  private func readPreset(_ mapping: MappingCursor) -> (type: ConsumerType?, options: Options) {
    let options = Options(mapping)
    let type = mapping.required("consumer", hint: "consumer: chat").flatMap {
      reading.choice($0, "\"consumer\"", of: ConsumerType.self)
    }
    mapping.finish()
    return (type, options)
  }

  private func read(
    _ type: ConsumerType, named range: SourceRange, _ options: Options, isInstalled: Bool = false
  ) -> ReadConsumer? {
    if !isPreset, !isInstalled { checkInstalled(type, at: range) }
    for entry in options.unfit(for: type) where entry.key.value != "publish" || !reportHTTPPublish(entry) {
      reading.findings.error(
        .conflictingKeys, "the consumer \"\(type.rawValue)\" has no option \"\(entry.key.value)\"",
        at: entry.key.range, hint: "remove it")
    }
    let values = options.values(for: type, reading)
    switch type {
    case .echo: return ReadConsumer(consumer: .echo, options: values)
    case .proxy:
      return readUpstream(range, options, values).map { ReadConsumer(consumer: .proxy($0), options: values) }
    case .view:
      guard let (group, templates) = readGroups(type, range, options, values),
        let view = readView(range, options)
      else { return nil }
      return ReadConsumer(consumer: .view(group, view), groups: templates, options: values)
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
    _ range: SourceRange, _ options: Options, _ values: RouteOptions
  ) -> UpstreamConfiguration? {
    let reader = UpstreamReader(reading: reading, captures: captures)
    guard let to = options["to"] else {
      guard !isPreset else { return nil }
      return reading.refuse(
        .missingKey, "the consumer \"proxy\" needs \"to\", the address of the upstream", at: range,
        hint: "to: ws://127.0.0.1:8001")
    }
    var upstream = reader.readWebSocket(to.value, host: options["host"]?.value, tls: options["tls"]?.value)
    let time = values[.connectTimeout]
    upstream?.connectTimeout = time
    if let written = options["connect_timeout"], time > context.handshake {
      reading.findings.warning(
        .limitsDisagree,
        "\"connect_timeout\" is \(time.written), and \"limits.handshake\" ends the handshake after \(context.handshake.written)",
        at: written.value.range, hint: "raise \"limits.handshake\", or lower \"connect_timeout\"")
    }
    return upstream
  }

  private func readView(_ range: SourceRange, _ options: Options) -> ViewConfiguration? {
    guard let url = options["url"] else {
      guard !isPreset else { return nil }
      return reading.refuse(
        .missingKey, "the consumer \"view\" needs \"url\", the view that is asked", at: range,
        hint: "url: http://127.0.0.1:8001/ws/chat/{room}/")
    }
    let questions = QuestionReader(reading: reading, handshake: context.handshake)
    guard let question = questions.readURL(url.value, headers: []) else { return nil }
    var view = ViewConfiguration(question: question)
    if let entry = options["secret"] {
      view.secrets = [reading.secretBytes(entry.value, "\"secret\"")].compactMap(\.self)
    }
    if let entry = options["on"], case .sequence(let items) = entry.value.content {
      view.on = Set(items.compactMap { reading.choice($0, "\"on\"", of: ViewConfiguration.Event.self) })
    }
    return view
  }

  /// The groups of a route, with what it says to its clients by itself.
  private func readGroups(
    _ type: ConsumerType, _ range: SourceRange, _ options: Options, _ values: RouteOptions
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
    _ type: ConsumerType, _ range: SourceRange, _ options: Options, _ values: RouteOptions
  ) -> (GroupConfiguration, [Located<GroupPattern>])? {
    let layer = context.layer(
      named: options["channel_layer"], for: type.rawValue, at: range, isPreset: isPreset)
    let events = options["events"].map { EventsReader(reading: reading, hasState: type == .view).read($0.value) } ?? [:]
    let reader = GroupReader(reading: reading, captures: captures, hasIdentity: hasIdentity)
    let subscribe = options["subscribe"].map { reader.readPatterns($0.value, "\"subscribe\"") } ?? []
    let fromView = options["groups_from_view"].flatMap(reader.readFromView)
    let history = options["history"].flatMap { HistoryReader.read($0.value, reading) }
    guard let entry = options["group"] else {
      if type == .view {
        let configuration = GroupConfiguration(
          layer: layer, templates: [], subscribe: subscribe, fromView: fromView, events: events,
          options: values, history: history)
        return (configuration, [])
      }
      guard !isPreset else { return nil }
      return reading.refuse(
        .missingKey, "\"\(type.rawValue)\" needs a \"group\"", at: range, hint: reader.example(type.rawValue))
    }
    guard let templates = reader.readTemplates(entry.value) else { return nil }
    let configuration = GroupConfiguration(
      layer: layer, templates: templates.map(\.value), subscribe: subscribe, fromView: fromView,
      events: events,
      options: values, history: history)
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
