extension Key {
  private static let backends = ChannelLayerConfiguration.BackendName.allCases
  private static func listed(_ names: [String]) -> String { names.map { "`\($0)`" }.joined(separator: ", ") }
  private static let layer = RedisLayerConfiguration(layout: .core)
  private static let withQueues = [KeyPlace.config(.redis), .config(.memory)]
  private static let ofRedis = [KeyPlace.config(.redis), .config(.redisPubSub)]
  private static let hostAndSentinels = [KeyPlace.redisHost, .sentinelOptions]
  private static let lifetime = KeyValue.time(from: .seconds(1), to: .seconds(31_536_000))
  private static let capacity = KeyValue.integer(from: 1, to: 10_000_000)
  private static let addresses = KeyValue.list(.either([.word, .integer(from: 1, to: 65535)]), atLeast: 2)
  private static let pythonTruth = KeyValue.either([.truth, .choice(["False", "True"])])
  private static let socketTime = KeyValue.either([
    .time(from: .milliseconds(1), to: .seconds(86400)), .nothing,
  ])
  private static let certificateWords = RedisHostReader.certificateRequirements.keys
    .filter { $0.first?.isLetter == true }.sorted()

  /// The keys of `channels_redis`, and of redis-py's connections.
  static let layers =
    [
      Key(
        "backend", [.channelLayer], .choice(ChannelLayerReader.backendNames), required: [.channelLayer],
        standard: "required",
        """
        \(listed(backends.map(\.rawValue))), or Django's dotted name (\(listed(backends.compactMap(\.kind.django)))).
        """),
      Key(
        "config", [.channelLayer],
        .either(backends.map { .mapping(.config($0)) }),
        """
        The keys of `channels_redis`. [CONFIG, key by key](django.md#config-key-by-key) says which must be equal in Django. `redis_pubsub` \
        has no queues, so it takes none of `capacity`, `channel_capacity`, `expiry`, `group_expiry` and `random_prefix_length`. `memory` \
        takes the first four of these, as in Django, and needs none.
        """),
      Key(
        "hosts", ofRedis,
        .list(.either([.word, addresses, .mapping(.redisHost), .mapping(.secret)])),
        standard: "`[[localhost, 6379]]`",
        """
        The Redis servers: each is a URL, `[host, port]`, or a mapping. Write an address with a password as a secret: \
        `hosts: [{env: REDIS_URL}]`.
        """),
      Key("prefix", ofRedis, .text, standard: shown(layer.prefix), "What the names in Redis begin with."),
      Key(
        "capacity", withQueues, capacity, standard: shown(layer.capacity),
        "How many events a queue may hold before a sender adds no more."),
      Key(
        "channel_capacity", withQueues, .named(capacity),
        "Other capacities for channels whose names fit a pattern: `*` is any text, and `\"re:PATTERN\"` a regular expression."
      ),
      Key(
        "expiry", withQueues, lifetime, standard: shown(layer.expiry),
        "How long an event may wait in a queue."),
      Key(
        "group_expiry", withQueues, lifetime, standard: shown(layer.groupExpiry),
        "How long a membership lasts that is not renewed."),
      Key(
        "random_prefix_length", [.config(.redis)], .integer(from: 0, to: 255),
        standard: shown(layer.randomPrefixLength),
        "How many random bytes stand before an event in a queue."),
      Key(
        "symmetric_encryption_keys", ofRedis, .list(.secret),
        "Secrets: `[{env: KEY}]`. The first one encrypts, all of them decrypt."),
      Key(
        "serializer_format", ofRedis, .choice(of: SerializerFormat.self), standard: "`msgpack`",
        "How events are written."),
      Key(
        "address", [.redisHost], .secret,
        "A URL: `redis://host:6379/0`, `rediss://` for TLS, `unix:///path`."),
      Key("host", [.redisHost], .word, "The server's name."),
      Key(
        "port", [.redisHost], .integer(from: 1, to: 65535), needs: ["host"], standard: "`6379`",
        "The server's port."),
      Key("master_name", [.redisHost], .word, "The name that the sentinels have for the server."),
      Key("sentinels", [.redisHost], .list(addresses), "The sentinels: `[[host, port], ...]`."),
      Key(
        "sentinel_kwargs", [.redisHost], .either([.mapping(.sentinelOptions), .nothing]),
        "How the sentinels are connected to, by the same keys as the server."),
      Key(
        "db", hostAndSentinels, .integer(from: 0, to: 65535), standard: "`0`", "The number of the database."),
      Key("username", hostAndSentinels, .either([.word, .nothing]), "The user of Redis."),
      Key("password", hostAndSentinels, .either([.secret, .nothing]), "The user's password, as a secret."),
      Key(
        "socket_connect_timeout", hostAndSentinels, socketTime,
        "The time for a connection to the server."),
      Key(
        "socket_timeout", hostAndSentinels, socketTime,
        "It is accepted, and not needed: Sluice waits for Redis in its own way."),
      Key(
        "ssl", hostAndSentinels, .either([pythonTruth, .nothing]), standard: "`false`",
        "`true`: the server speaks TLS."),
      Key(
        "ssl_cert_reqs", hostAndSentinels,
        .either([.choice(certificateWords), .nothing]),
        standard: "`required`", "`none`: the certificate is not verified."),
      Key(
        "ssl_check_hostname", hostAndSentinels, pythonTruth, standard: "`true`",
        "`false`: the certificate may be for another name."),
      Key("ssl_ca_certs", hostAndSentinels, .word, "A PEM file with the authorities to trust."),
      Key("ssl_certfile", hostAndSentinels, .word, "A PEM file with Sluice's own certificate."),
      Key("ssl_keyfile", hostAndSentinels, .word, "The PEM file of its key."),
    ] + clientSettings + backends.flatMap(\.kind.keys)

  /// Settings of redis-py's own connections, which mean nothing here.
  static let clientSettings = [
    "max_connections", "health_check_interval", "socket_keepalive", "socket_keepalive_options", "protocol",
    "decode_responses", "retry_on_timeout", "client_name", "encoding", "encoding_errors",
  ].map { Key($0, hostAndSentinels, .json, "A setting of redis-py, which is accepted and not needed.") }
}
