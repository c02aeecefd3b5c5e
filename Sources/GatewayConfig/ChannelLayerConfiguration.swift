/// One entry of `channel_layers`: an alias, its backend and the backend's settings.
package struct ChannelLayerConfiguration: Sendable {
  /// The names of the backends. What the configuration knows of each is its `kind`.
  package enum BackendName: String, Sendable, Hashable, CaseIterable {
    /// One process; `channels.layers.InMemoryChannelLayer`.
    case memory
    /// `channels_redis.core.RedisChannelLayer`.
    case redis
    /// `channels_redis.pubsub.RedisPubSubChannelLayer`.
    case redisPubSub = "redis_pubsub"

    var kind: BackendKind {
      switch self {
      case .memory: .memory
      case .redis: .redis(.core)
      case .redisPubSub: .redis(.pubSub)
      }
    }
  }

  package enum Backend: Sendable, Equatable {
    case memory
    case redis(RedisLayerConfiguration)

    /// How many other servers it is connected to.
    package var serverCount: Int {
      switch self {
      case .memory: 0
      case .redis(let redis): redis.hosts.count
      }
    }
  }

  package var alias: String
  package var backend: Backend
  /// The place of the backend's name in the file.
  package var range: SourceRange
  /// The places of the keys of its `config`.
  package var places: [String: SourceRange]

  package var name: BackendName {
    switch backend {
    case .memory: .memory
    case .redis(let redis): redis.layout == .core ? .redis : .redisPubSub
    }
  }
}

/// The `config` of a Redis layer: the keys of channels_redis, with its defaults.
package struct RedisLayerConfiguration: Sendable, Equatable {
  /// How events are laid out in Redis.
  package enum Layout: Sendable, Hashable {
    /// Sorted sets, one for each receiving process.
    case core
    /// Redis publish/subscribe.
    case pubSub
  }

  package var layout: Layout
  /// The shards. Their order determines which group is on which server.
  package var hosts: [RedisHost] = [RedisHost(.tcp(host: "localhost", port: 6379))]
  package var prefix = "asgi"
  /// How long a message may wait in a queue. Whole seconds.
  package var expiry: Duration = .seconds(60)
  /// How long a membership lasts without being renewed. Whole seconds.
  package var groupExpiry: Duration = .seconds(86400)
  /// How many messages a queue may hold before Sluice adds no more.
  package var capacity = 100
  /// The first pattern that matches a channel's name replaces `capacity`.
  package var channelCapacities: [ChannelCapacity] = []
  /// The first key encrypts, all keys decrypt; empty for no encryption.
  package var encryptionKeys: [Secret] = []
  /// How many random bytes precede a message in a queue.
  package var randomPrefixLength = 12
  package var format = SerializerFormat.msgpack

  package func capacity(of channel: String) -> Int {
    channelCapacities.first { $0.pattern.matches(channel) }?.capacity ?? capacity
  }
}

/// `serializer_format`.
package enum SerializerFormat: String, Sendable, Hashable, CaseIterable {
  case msgpack, json
}

/// One entry of `channel_capacity`.
package struct ChannelCapacity: Sendable, Equatable {
  package var pattern: ChannelNamePattern
  package var capacity: Int
}

/// One Redis server, or the name of a master that sentinels know.
package struct RedisHost: Sendable, Hashable {
  package enum Place: Sendable, Hashable {
    case tcp(host: String, port: Int)
    case unix(path: String)
    /// The server that the sentinels report as the master of that name.
    case sentinel(master: String, Sentinels)
  }

  package struct Sentinels: Sendable, Hashable {
    package var addresses: [Address]
    package var credentials = Credentials()
    package var tls: TLS?
    /// Nil for the timeout of the host itself.
    package var connectTimeout: Duration?
  }

  package struct Address: Sendable, Hashable {
    package var host: String
    package var port: Int

    package init(host: String, port: Int) {
      self.host = host
      self.port = port
    }
  }

  /// The arguments of `AUTH`; never printed.
  package struct Credentials: Sendable, Hashable {
    package var username: String?
    package var password: Secret?
  }

  /// `rediss://` or `ssl: true`, and the `ssl_` options, as redis-py names them.
  package struct TLS: Sendable, Hashable {
    /// `ssl_cert_reqs`: whether the server needs a trusted certificate.
    package var verifiesCertificate = true
    /// `ssl_check_hostname`: whether the certificate must be for the host's name.
    package var verifiesHostname = true
    /// `ssl_ca_certs`: the absolute path of a PEM file; nil for the system's certificates.
    package var trustedCertificates: String?
    /// `ssl_certfile` and `ssl_keyfile`, absolute paths.
    package var certificate: String?
    package var privateKey: String?
  }

  package var place: Place
  package var database = 0
  package var credentials = Credentials()
  package var tls: TLS?
  /// `socket_connect_timeout`.
  package var connectTimeout: Duration = .seconds(5)

  package init(_ place: Place) {
    self.place = place
  }
}

extension RedisHost {
  /// Whether it stands for one whose address is a secret that is not there.
  var isStandIn: Bool { if case .tcp(let host, _) = place { Secret(host).isStandIn } else { false } }
}

extension RedisHost: CustomStringConvertible {
  /// The address without user and password, for logs.
  package var description: String {
    switch place {
    case .tcp where isStandIn: "an address that is not here"
    case .tcp(let host, let port):
      "\(tls == nil ? "redis" : "rediss")://\(host.contains(":") ? "[\(host)]" : host):\(port)/\(database)"
    case .unix(let path): "unix://\(path)?db=\(database)"
    case .sentinel(let master, let sentinels):
      "master \"\(master)\" of \(sentinels.addresses.count) sentinels"
    }
  }
}

extension RedisHost.Address: CustomStringConvertible {
  package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

// MARK: - Layers that lead to the same groups

extension ChannelLayerConfiguration {
  /// For each alias, the first alias that leads to the same groups, or the alias itself. Two names of one Redis do not separate
  /// groups.
  static func groupSpaces(of layers: [ChannelLayerConfiguration]) -> [String: String] {
    var spaces: [String: String] = [:]
    for (number, layer) in layers.enumerated() {
      let same = layers[..<number].filter { $0.sharesGroups(with: layer) }.compactMap { spaces[$0.alias] }
      let space = same.first ?? layer.alias
      spaces[layer.alias] = space
      // This layer may join two groups of layers that were separate until here.
      for (alias, other) in spaces where same.contains(other) { spaces[alias] = space }
    }
    return spaces
  }

  private func sharesGroups(with other: ChannelLayerConfiguration) -> Bool {
    guard case .redis(let own) = backend, case .redis(let others) = other.backend else { return false }
    return own.layout == others.layout && own.prefix == others.prefix
      && own.hosts.contains { host in
        // Publish/subscribe does not separate databases.
        others.hosts.contains {
          host.place.mayBe($0.place) && (own.layout == .pubSub || host.database == $0.database)
        }
      }
  }
}

extension RedisHost.Place {
  private static let loopback: Set = ["localhost", "127.0.0.1", "::1"]

  /// Whether both may be the same server, judging by their names.
  fileprivate func mayBe(_ other: RedisHost.Place) -> Bool {
    switch (self, other) {
    case (.tcp(let host, let port), .tcp(let otherHost, let otherPort)):
      let names: Set = [host.lowercased(), otherHost.lowercased()]
      return port == otherPort && (names.count == 1 || names.isSubset(of: Self.loopback))
    case (.unix(let path), .unix(let otherPath)): return path == otherPath
    case (.sentinel(let master, let sentinels), .sentinel(let otherMaster, let others)):
      return master == otherMaster && !Set(sentinels.addresses).isDisjoint(with: others.addresses)
    default: return false
    }
  }
}
