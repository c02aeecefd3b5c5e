import ChannelLayers
import GatewayConfig

/// The layout of `channels_redis.core`: a group is a sorted set of channels, and every process has queues for its events.
final class CoreLayout: RedisLayout {
  let identity: RedisIdentity
  let register: ProcessRegister
  var outgoing = OutgoingQueues()
  var clock = MessageClock()
  /// For each shard, whether this process's sign of life was written. If it is missing later, Redis has lost it.
  var hasSignOfLife: [Bool]

  init(_ configuration: RedisLayerConfiguration, _ identity: RedisIdentity) {
    self.identity = identity
    register = ProcessRegister(configuration, id: identity.id)
    hasSignOfLife = configuration.hosts.map { _ in false }
  }

  var membershipEnd: RedisShard.End { .commands }

  var isSettled: Bool { outgoing.waitingBytes == 0 }

  var clusterObjection: LayerFailure? {
    LayerFailure(
      text: "the backend redis does not support",
      hint:
        "use a server that is not a cluster, or backend: redis_pubsub here and RedisPubSubChannelLayer in Django"
    )
  }
}
