/// `channel_layers`: aliases, backends, and every key of their `config` (as `channels_redis` has them).
enum ChannelLayerReader {
  /// The names Django settings have for the backends.
  private static let djangoNames: [String: ChannelLayerConfiguration.Backend] = [
    "channels.layers.InMemoryChannelLayer": .memory,
    "channels_redis.core.RedisChannelLayer": .redis,
    "channels_redis.pubsub.RedisPubSubChannelLayer": .redisPubSub,
  ]

  /// - Returns: nil where the file has no such key.
  static func read(_ node: Node?, _ reading: Reading) -> [ChannelLayerConfiguration]? {
    guard let node else { return nil }
    guard let mapping = MappingCursor(node, "\"channel_layers\"", reading) else { return [] }
    return mapping.all.compactMap { entry in
      guard let layer = MappingCursor(entry.value, "a channel layer", reading) else { return nil }
      let backend = layer.required("backend", hint: "backend: memory").flatMap { node in
        readBackend(node, reading).map { Located($0, at: node.range) }
      }
      let config = layer.value("config")
      if let backend, let config { readConfig(config, of: backend.value, reading) }
      layer.finish()
      return backend.map {
        ChannelLayerConfiguration(alias: entry.key.value, backend: $0.value, range: $0.range)
      }
    }
  }

  private static func readBackend(_ node: Node, _ reading: Reading) -> ChannelLayerConfiguration.Backend? {
    guard let name = reading.word(node, "\"backend\"") else { return nil }
    if let backend = ChannelLayerConfiguration.Backend(rawValue: name) ?? djangoNames[name] { return backend }
    let known = ChannelLayerConfiguration.Backend.allCases.map(\.rawValue)
    reading.findings.error(
      .unknownName, "there is no channel layer backend \"\(name)\"", at: node.range,
      hint: NearestName.of(name, in: known + djangoNames.keys.sorted()).map { "did you mean \"\($0)\"?" }
        ?? "known here: \(known.joined(separator: ", "))")
    return nil
  }

  private static func readConfig(
    _ node: Node, of backend: ChannelLayerConfiguration.Backend, _ reading: Reading
  ) {
    guard let config = MappingCursor(node, "the config of a \(backend.rawValue) layer", reading) else {
      return
    }
    switch backend {
    case .memory:
      readNumbers(config, reading)
    case .redis:
      readNumbers(config, reading)
      readRedis(config, reading)
      if let value = config.value("random_prefix_length") {
        _ = reading.integer(value, "\"random_prefix_length\"", in: 0...255)
      }
    case .redisPubSub:
      readRedis(config, reading)
    }
    config.finish()
  }

  private static func readNumbers(_ config: MappingCursor, _ reading: Reading) {
    for key in ["expiry", "group_expiry"] {
      guard let value = config.value(key) else { continue }
      readSeconds(value, "\"\(key)\"", reading)
    }
    if let value = config.value("capacity") { _ = reading.integer(value, "\"capacity\"", in: 1...10_000_000) }
    guard let value = config.value("channel_capacity"),
      let capacities = MappingCursor(value, "\"channel_capacity\"", reading)
    else { return }
    for entry in capacities.all {
      _ = reading.integer(entry.value, "the capacity of \"\(entry.key.value)\"", in: 1...10_000_000)
    }
  }

  /// Django writes whole seconds; here the unit is written.
  private static func readSeconds(_ node: Node, _ what: String, _ reading: Reading) {
    _ = reading.duration(node, what, in: Duration.seconds(1)...Duration.seconds(86400 * 365))
  }

  private static func readRedis(_ config: MappingCursor, _ reading: Reading) {
    if let value = config.value("prefix") { _ = reading.text(value, "\"prefix\"") }
    if let value = config.value("serializer_format"),
      let format = reading.word(value, "\"serializer_format\"")
    {
      let known = ["msgpack", "json"]
      if !known.contains(format) {
        reading.findings.error(
          .invalidValue, "\"serializer_format\" cannot be \"\(format)\"", at: value.range,
          hint: NearestName.hint(for: format, in: known))
      }
    }
    if let value = config.value("symmetric_encryption_keys") {
      for key in reading.list(value, "\"symmetric_encryption_keys\"") ?? [] {
        reading.checkSecret(key, "an encryption key")
      }
    }
    if let value = config.value("hosts") {
      for host in reading.list(value, "\"hosts\"") ?? [] { readHost(host, reading) }
    }
  }

  /// A URL, `[host, port]`, or a mapping with `address`, `host`, or `sentinels`.
  private static func readHost(_ node: Node, _ reading: Reading) {
    switch node.content {
    case .scalar: readURL(node, reading)
    case .sequence(let pair):
      guard pair.count == 2 else {
        reading.findings.error(
          .invalidValue, "a host is a pair of name and port", at: node.range, hint: "[localhost, 6379]")
        return
      }
      _ = reading.word(pair[0], "a host")
      _ = reading.integer(pair[1], "a port", in: 1...65535)
    case .mapping: readHostMapping(node, reading)
    }
  }

  private static func readHostMapping(_ node: Node, _ reading: Reading) {
    guard let host = MappingCursor(node, "a host", reading) else { return }
    let address = host.entry("address")
    if let address { readURL(address.value, reading) }
    let name = host.value("host")
    if let name { _ = reading.word(name, "\"host\"") }
    if let port = host.value("port") { _ = reading.integer(port, "\"port\"", in: 1...65535) }
    if let database = host.value("db") { _ = reading.integer(database, "\"db\"", in: 0...65535) }
    if let user = host.value("username") { _ = reading.word(user, "\"username\"") }
    if let password = host.value("password") { reading.checkSecret(password, "\"password\"") }
    let master = host.value("master_name")
    if let master { _ = reading.word(master, "\"master_name\"") }
    let sentinels = host.value("sentinels")
    if let sentinels {
      for sentinel in reading.list(sentinels, "\"sentinels\"") ?? [] { readHost(sentinel, reading) }
    }
    if address == nil, name == nil, sentinels == nil {
      reading.findings.error(
        .missingKey, "a host needs \"address\", \"host\" or \"sentinels\"", at: host.place)
    }
    if (master == nil) != (sentinels == nil) {
      reading.findings.error(
        .missingKey, "\"master_name\" and \"sentinels\" belong together", at: host.place)
    }
    for key in ["socket_timeout", "socket_connect_timeout"] {
      guard let value = host.value(key) else { continue }
      if case .scalar(let scalar) = value.content, scalar.text == "null" { continue }
      readSeconds(value, "\"\(key)\"", reading)
    }
    for key in ["ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"] {
      if let value = host.value(key) { _ = reading.scalar(value, "\"\(key)\"") }
    }
    host.finish()
  }

  private static func readURL(_ node: Node, _ reading: Reading) {
    guard let url = reading.word(node, "a host") else { return }
    let schemes = ["redis://", "rediss://", "unix://"]
    guard let scheme = schemes.first(where: url.hasPrefix) else {
      reading.findings.error(
        .invalidValue, "\"\(url)\" is no address of a Redis server", at: node.range,
        hint: "write redis://host:6379/0, rediss:// for TLS, or unix:///path")
      return
    }
    let authority = url.dropFirst(scheme.count).prefix { $0 != "/" }
    if case .scalar(let scalar) = node.content, scalar.origin == nil,
      let at = authority.lastIndex(of: "@"), authority[..<at].contains(":")
    {
      reading.findings.warning(
        .plainSecret, "a password is written into the file", at: node.range,
        hint: "take the address from the environment: ${REDIS_URL}")
    }
  }
}

extension Reading {
  /// `{env: NAME}` or `{file: PATH}`. One that is written into the file is used, with a warning.
  func checkSecret(_ node: Node, _ what: String) {
    switch node.content {
    case .scalar(let scalar):
      guard scalar.origin == nil else { return }
      findings.warning(
        .plainSecret, "\(what) is written into the file", at: node.range,
        hint: "write {env: NAME} or {file: PATH}")
    case .sequence:
      findings.error(.wrongType, "\(what) is a single value, and this is a list", at: node.range)
    case .mapping:
      guard let reference = MappingCursor(node, "a secret", self) else { return }
      let variable = reference.value("env")
      let file = reference.value("file")
      reference.finish()
      if (variable == nil) == (file == nil) {
        findings.error(
          .conflictingKeys, "a secret comes from \"env\" or from \"file\"", at: reference.place,
          hint: "write {env: NAME} or {file: PATH}")
      }
      if let variable, let name = word(variable, "\"env\""), environment[name] == nil {
        findings.error(
          .undefinedVariable, "the environment variable \"\(name)\" is not set", at: variable.range)
      }
      if let file, let path = word(file, "\"file\"") {
        let place = Paths.join(Paths.directory(of: node.range.file.path), path)
        if case .failure(let fault) = files.contents(of: place) {
          findings.error(
            .unreadableFile, "\"\(path)\" cannot be read: \(fault.message)", at: file.range,
            hint: nearestFile(place))
        }
      }
    }
  }
}
