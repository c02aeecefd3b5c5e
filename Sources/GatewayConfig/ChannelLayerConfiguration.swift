/// One entry of `channel_layers`: an alias, its backend and the backend's settings.
package struct ChannelLayerConfiguration: Sendable {
  package enum Backend: String, Sendable, Hashable, CaseIterable {
    /// One process; `channels.layers.InMemoryChannelLayer`.
    case memory
    /// `channels_redis.core.RedisChannelLayer`.
    case redis
    /// `channels_redis.pubsub.RedisPubSubChannelLayer`.
    case redisPubSub = "redis_pubsub"
  }

  package var alias: String
  package var backend: Backend
  /// Where the backend is named, for the sentence that a layer is not built in.
  package var range: SourceRange

  package init(alias: String, backend: Backend, range: SourceRange) {
    self.alias = alias
    self.backend = backend
    self.range = range
  }
}
