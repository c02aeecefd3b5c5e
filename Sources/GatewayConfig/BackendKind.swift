/// What the configuration knows of a kind of back end of a channel layer: its name in Django, the keys of its `config`, and how they are
/// read.
struct BackendKind: Sendable {
  /// Its dotted name in Django's settings; nil if Django has no such layer.
  var django: String?
  /// The keys of its `config` that are not declared for several kinds together. Each stands at `KeyPlace.config`.
  var keys: [Key] = []
  /// Reads the `config`, which is nil if there is none.
  var read: @Sendable (ChannelLayerReader, Node?) -> ChannelLayerConfiguration.Backend
}

extension BackendKind {
  static let memory = BackendKind(django: "channels.layers.InMemoryChannelLayer") { reader, config in
    reader.readMemory(config)
    return .memory
  }

  static func redis(_ layout: RedisLayerConfiguration.Layout) -> BackendKind {
    let django =
      switch layout {
      case .core: "channels_redis.core.RedisChannelLayer"
      case .pubSub: "channels_redis.pubsub.RedisPubSubChannelLayer"
      }
    return BackendKind(django: django) { reader, config in .redis(reader.readRedis(config, layout)) }
  }
}
