import Routing

/// Reads `events:` of an HTTP route: the name of a group, or a mapping with `group:` and more.
struct EventStreamReader {
  private static let heartbeatRange = Duration.seconds(1)...Duration.seconds(3600)
  private static let retryRange = Duration.milliseconds(100)...Duration.seconds(3600)

  let context: RouteContext
  /// The names that the route captures; nil where they are not known.
  let captures: [String]?
  let settings: RouteSettings

  private var reading: Reading { context.reading }

  func read(_ answer: Node.Entry) -> (stream: EventStreamConfiguration, group: Located<GroupTemplate>)? {
    let range = answer.key.range
    guard case .mapping = answer.value.content else {
      let layer = context.layer(named: nil, for: "events", at: range)
      return read(group: answer.value, "\"events\"", layer: layer, templates: [:])
    }
    guard let mapping = MappingCursor(answer.value, "\"events\"", reading) else { return nil }
    let layer = context.layer(named: mapping.entry("channel_layer"), for: "events", at: range)
    let templates = mapping.value("templates").map {
      EventsReader(reading: reading, key: "templates").read($0)
    }
    let heartbeat = mapping.value("heartbeat").flatMap {
      reading.duration($0, "\"heartbeat\"", in: Self.heartbeatRange)
    }
    let retry = mapping.value("retry").flatMap { reading.duration($0, "\"retry\"", in: Self.retryRange) }
    if let entry = mapping.entry("events") {
      reading.findings.error(
        .unknownKey, "what events become is called \"templates\" here", at: entry.key.range,
        hint: "write templates: {TYPE: ...}")
    }
    let group = mapping.required("group", hint: "group: chat_{room}")
    mapping.finish()
    guard let group, var read = read(group: group, "\"group\"", layer: layer, templates: templates ?? [:])
    else { return nil }
    if let heartbeat { read.stream.heartbeat = heartbeat }
    if let retry { read.stream.retry = retry }
    return read
  }

  private func read(
    group node: Node, _ what: String, layer: String, templates: [String: EventTemplate]
  ) -> (stream: EventStreamConfiguration, group: Located<GroupTemplate>)? {
    guard let scalar = reading.textScalar(node, what) else { return nil }
    switch GroupTemplate.parse(scalar.text) {
    case .success(let template):
      let group = GroupConfiguration(layer: layer, template: template, events: templates)
      let stream = EventStreamConfiguration(
        group: group, origins: settings.origins, sendQueue: settings.limits.sendQueue)
      return (stream, Located(template, at: node.range))
    case .failure(let fault):
      reading.findings.error(
        .invalidGroup, fault.message + reading.origin(scalar), at: node.range, hint: fault.hint)
      return nil
    }
  }
}

extension RouteContext {
  /// What has a group speaks through the layer it names, or `default`.
  ///
  /// - Parameters:
  ///   - what: needs it, at `range`.
  ///   - isPreset: whether a route may still name another one.
  func layer(named entry: Node.Entry?, for what: String, at range: SourceRange, isPreset: Bool = false)
    -> String
  {
    let standard = "default"
    let alias = entry.map { reading.word($0.value, "\"channel_layer\"") } ?? standard
    guard let alias, let layers, !layers.contains(alias) else { return alias ?? standard }
    if entry == nil, isPreset { return alias }
    if let entry {
      reading.findings.error(
        .unknownName, "there is no channel layer \"\(alias)\"", at: entry.value.range,
        hint: NearestName.hint(for: alias, in: layers)
          ?? "add channel_layers: {\(alias): {backend: memory}}")
    } else {
      reading.findings.error(
        .missingKey, "\"\(what)\" needs a channel layer \"\(alias)\"", at: range,
        hint: NearestName.of(standard, in: layers).map {
          "did you mean \"default\" by \"\($0)\"?"
        } ?? "add channel_layers: {default: {backend: memory}}")
    }
    return alias
  }
}
