import Routing

/// `channel_layers`: aliases, backends, and every key of their `config` (as `channels_redis` has them).
struct ChannelLayerReader {
  let reading: Reading

  private static let backends = ChannelLayerConfiguration.BackendName.allCases

  /// Every name that a backend has, also that in Django settings.
  static let backendNames = backends.map(\.rawValue) + backends.compactMap(\.kind.django).sorted()

  /// The keys of the `config` of each backend, by its names.
  static let configPlaces: [(place: KeyPlace, backends: [String])] = backends.map { name in
    (.config(name), backendNames.filter { backend(named: $0) == name })
  }

  private static func backend(named name: String) -> ChannelLayerConfiguration.BackendName? {
    backends.first { $0.rawValue == name || $0.kind.django == name }
  }

  /// - Returns: nil if the file has no such key.
  static func read(_ node: Node?, _ reading: Reading) -> [ChannelLayerConfiguration]? {
    guard let node else { return nil }
    guard let mapping = MappingCursor(node, "\"channel_layers\"", reading) else { return [] }
    return entries.read(mapping, ChannelLayerReader(reading: reading).read)
  }

  static let entries = NamedEntries(
    "a layer", named: "default", example: "channel_layers: {default: {backend: memory}}", with: ["backend"])

  /// Warns of a layer that nothing uses and whose name is near that of another one that is used: a file that is laid over another one adds
  /// a layer where it misspells the one that it wants to change.
  static func reportMisspelt(
    in node: Node?, _ applications: [ApplicationConfiguration], _ reading: Reading
  ) {
    let used = applications.reduce(into: Set<String>()) { $0.formUnion($1.channelLayers) }
    for entry in node?.entries ?? [] where !used.contains(entry.key.value) {
      let name = entry.key.value
      // "cache1" and "cache2" are two.
      guard let meant = NearestName.of(name, in: used.sorted()), withoutDigits(meant) != withoutDigits(name),
        let other = node?.entry(meant)
      else { continue }
      reading.findings.warning(
        .unknownName, "nothing uses the channel layer \"\(name)\"", at: entry.key.range,
        hint: "did you mean \"\(meant)\"?", related: [.init("the one that is used", at: other.key.range)])
    }
  }

  private static func withoutDigits(_ name: String) -> String { name.filter { !$0.isNumber } }

  private func read(_ entry: Node.Entry) -> ChannelLayerConfiguration? {
    guard let layer = MappingCursor(entry.value, .channelLayer, reading) else { return nil }
    let node = layer.required("backend", hint: "backend: memory")
    let name = node.flatMap(readName)
    let config = layer.value("config")
    defer { layer.finish() }
    guard let node, let name else { return nil }
    let backend = name.kind.read(self, config)
    let places = Dictionary((config?.entries ?? []).map { ($0.key.value, $0.key.range) }) { $1 }
    return ChannelLayerConfiguration(
      alias: entry.key.value, backend: backend, range: node.range, places: places)
  }

  private func readName(_ node: Node) -> ChannelLayerConfiguration.BackendName? {
    guard let name = reading.word(node, "\"backend\"") else { return nil }
    if let known = Self.backend(named: name) { return known }
    let known = Self.backends.map(\.rawValue)
    let meant = NearestName.of(name, in: Self.backendNames)
    reading.findings.error(
      .unknownName, "there is no channel layer backend \"\(name)\"", at: node.range,
      hint: meant.map { "did you mean \"\($0)\"?" } ?? "known here: \(known.joined(separator: ", "))")
    // The config is read as if the name were right.
    return meant.flatMap(Self.backend)
  }

  /// The memory layer uses none of these keys. They are checked so that a layer can be changed by changing one word.
  func readMemory(_ node: Node?) {
    guard let node, let config = MappingCursor(node, .config(.memory), reading) else { return }
    var unused = RedisLayerConfiguration(layout: .core)
    readQueues(config, into: &unused)
    config.finish()
  }

  func readRedis(_ node: Node?, _ layout: RedisLayerConfiguration.Layout) -> RedisLayerConfiguration {
    var layer = RedisLayerConfiguration(layout: layout)
    let place = KeyPlace.config(layout == .core ? .redis : .redisPubSub)
    guard let node, let config = MappingCursor(node, place, reading) else { return layer }
    if layout == .core {
      readQueues(config, into: &layer)
      layer.randomPrefixLength = config.integer("random_prefix_length") ?? layer.randomPrefixLength
    }
    layer.prefix = config.value("prefix").flatMap { reading.text($0, "\"prefix\"") } ?? layer.prefix
    layer.format = config.choice("serializer_format", of: SerializerFormat.self) ?? layer.format
    if let value = config.value("symmetric_encryption_keys") {
      layer.encryptionKeys = (reading.list(value, "\"symmetric_encryption_keys\"") ?? []).compactMap {
        reading.secretBytes($0, "an encryption key")
      }
    }
    if let value = config.value("hosts") {
      let hosts = (reading.list(value, "\"hosts\"") ?? []).compactMap(RedisHostReader(reading: reading).read)
      // As in channels_redis, an empty list means the server on this machine.
      if !hosts.isEmpty { layer.hosts = hosts }
    } else {
      reportHost(config)
    }
    config.finish()
    return layer
  }

  private static let keysOfHost = [
    "host", "port", "db", "username", "password", "address", "url", "location",
  ]

  /// Reports the keys of a host beside those of the layer, all of them once.
  private func reportHost(_ config: MappingCursor) {
    let found = config.keys.filter { Self.keysOfHost.contains($0.value.lowercased()) }
    guard let first = found.first else { return }
    // A misspelt "hosts".
    if case .sequence? = config.entries.first(where: { $0.key.value == first.value })?.value.content {
      return
    }
    for key in found {
      if let entry = config.undeclared(key.value) { reading.findings.hide(entry.value.range) }
    }
    reading.findings.error(
      .unknownKey, "the server of the layer stands in \"hosts\", not in \"\(first.value)\"", at: first.range,
      hint: "write hosts: [\"redis://127.0.0.1:6379/0\"], with its host, port and database")
  }

  private func readQueues(_ config: MappingCursor, into layer: inout RedisLayerConfiguration) {
    layer.expiry = config.duration("expiry") ?? layer.expiry
    layer.groupExpiry = config.duration("group_expiry") ?? layer.groupExpiry
    layer.capacity = config.integer("capacity") ?? layer.capacity
    guard let value = config.value("channel_capacity"),
      let capacities = MappingCursor(value, "\"channel_capacity\"", reading)
    else { return }
    for entry in capacities.entries {
      let capacity = reading.integer(
        entry.value, "the capacity of \"\(entry.key.value)\"", in: config.range(of: "capacity", \.integers))
      do throws(PatternFault) {
        let pattern = try ChannelNamePattern(entry.key.value)
        layer.channelCapacities.append(
          ChannelCapacity(pattern: pattern, capacity: capacity ?? layer.capacity))
      } catch {
        reading.findings.error(.invalidPattern, error.message, at: entry.key.range, hint: error.hint)
      }
    }
  }
}
