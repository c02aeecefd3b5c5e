import Routing

/// Reads `events:` of an HTTP route: a group or a list of them, or a mapping with `group:` and more.
struct EventStreamReader {
  let context: RouteContext
  /// The names that the route captures; nil if they are not known.
  let captures: [String]?
  let settings: RouteSettings

  private var reading: Reading { context.reading }

  typealias Read = (stream: EventStreamConfiguration, groups: [Located<GroupPattern>])

  func read(_ answer: Node.Entry) -> Read? {
    let range = answer.key.range
    guard case .mapping = answer.value.content else {
      return read(groups: answer.value, layer: context.layer(named: nil, for: "events", at: range))
    }
    guard let mapping = MappingCursor(answer.value, .eventStream, reading) else { return nil }
    let layer = context.layer(named: mapping.entry("channel_layer"), for: "events", at: range)
    let templates = mapping.value("templates").map(EventsReader(reading: reading, key: "templates").read)
    let heartbeat = mapping.duration("heartbeat")
    let retry = mapping.duration("retry")
    let history = mapping.value("history").flatMap { HistoryReader.read($0, reading) }
    if let entry = mapping.undeclared("events") {
      reading.findings.error(
        .unknownKey, "in an event stream the key is \"templates\", not \"events\"", at: entry.key.range,
        hint: "write templates: {TYPE: ...}")
    }
    let reader = GroupReader(
      reading: reading, captures: captures, hasIdentity: settings.requiresAuthentication)
    let fromView = mapping.entry("groups_from_view").flatMap { reader.readFromView($0) }
    let groups = mapping.required("group", hint: reader.example("chat"))
    mapping.finish()
    guard let groups, var read = read(groups: groups, layer: layer) else { return nil }
    if let templates { read.stream.group.events = templates }
    read.stream.group.history = history
    read.stream.group.fromView = fromView
    if let heartbeat { read.stream.heartbeat = heartbeat }
    if let retry { read.stream.retry = retry }
    return read
  }

  private func read(groups node: Node, layer: String) -> Read? {
    let reader = GroupReader(
      reading: reading, captures: captures, hasIdentity: settings.requiresAuthentication)
    guard let templates = reader.readTemplates(node) else { return nil }
    var group = GroupConfiguration(layer: layer, templates: templates.map(\.value), events: [:])
    group.takesMessages = false
    let stream = EventStreamConfiguration(
      group: group, origins: settings.origins, sendQueue: settings.limits.sendQueue)
    return (stream, templates)
  }
}

extension RouteContext {
  /// The alias of the channel layer for a consumer or route with a group: the given one, or `default`.
  ///
  /// - Parameters:
  ///   - what: the key that needs the layer, at `range`.
  ///   - isPreset: whether a route may still name another layer.
  func layer(
    named entry: Node.Entry?, for what: String, at range: SourceRange, isPreset: Bool = false
  ) -> String {
    let standard = "default"
    let alias = entry.map { reading.word($0.value, "\"channel_layer\"") } ?? standard
    guard let alias, let layers, !layers.contains(alias) else { return alias ?? standard }
    if let entry {
      reading.findings.error(
        .unknownName, "there is no channel layer \"\(alias)\"", at: entry.value.range,
        hint: NearestName.hint(for: alias, in: layers) ?? "add channel_layers: {\(alias): {backend: memory}}")
    } else if !isPreset {
      let meant = NearestName.of(standard, in: layers)
      guard !hasReportedLayer || meant == nil else { return alias }
      hasReportedLayer = true
      reading.findings.error(
        .missingKey, "\"\(what)\" needs a channel layer \"\(alias)\"", at: range,
        hint: meant.map { "the layer \"\($0)\" may have been meant to be called \"default\"" }
          ?? "add channel_layers: {default: {backend: memory}}")
    }
    return alias
  }
}
