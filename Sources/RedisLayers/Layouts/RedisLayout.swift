import ChannelLayers
import GatewayConfig
import RedisClient

/// How a layer keeps its groups and carries its events in Redis. There is one type for each layout of channels_redis.
///
/// Confined to the hub, which calls it for each batch of events, and never for a single one.
protocol RedisLayout: AnyObject {
  /// The connection with which the memberships of this process end.
  var membershipEnd: RedisShard.End { get }

  /// Whether events come as messages of subscriptions. Those that come while nobody listens are lost.
  var receivesBySubscription: Bool { get }

  /// Why the layout cannot be used with a Redis Cluster; nil if it can be.
  var clusterObjection: LayerFailure? { get }

  /// Writes the memberships of this process again, after a connection for commands, or the data of Redis, was lost.
  func joinAgain(_ shard: Int, of hub: isolated RedisHub) async throws(RedisFailure)

  /// Joins groups of the shard, whose connection for commands is up. The hub is told of each group that was joined or refused.
  func join(_ names: [String], _ shard: Int, of hub: isolated RedisHub) async

  /// Receives events over the connection until it ends, and tells the hub once they arrive.
  func receive(_ shard: Int, on connection: RedisConnection, for hub: isolated RedisHub) async throws

  /// Sends events, and notifies their senders. Called with no events when those that wait may be sent.
  func publish(_ batch: [OutgoingEvent], from hub: isolated RedisHub) async

  /// Whether nothing waits to be sent.
  var isSettled: Bool { get }

  /// Ends the wait for a message of the shard, if there is one.
  func wake(_ shard: Int, of hub: isolated RedisHub) async

  /// Leaves groups without members, and checks the connections. Called every second.
  func tend(_ shard: Int, beat count: Int, of hub: isolated RedisHub) async

  /// Removes what this process has written into Redis.
  func withdraw(_ hub: isolated RedisHub) async
}

extension RedisLayout {
  var receivesBySubscription: Bool { false }
  var isSettled: Bool { true }
  func wake(_ shard: Int, of hub: isolated RedisHub) async {}
}

/// On which servers of a layer a group is.
struct GroupPlacement: Sendable {
  /// The number of servers.
  var count: Int
  /// What stands before the name of a group in the name that decides.
  var prefix: String
  /// Where the layout has queues: the names of this process's.
  var queues: RedisIdentity?

  /// The shard that stores the group.
  func shard(of group: String) -> Int {
    Shard.index(of: prefix + group, count: count)
  }

  /// The shard of this process's queue for the group's events; the group's own if the layout has no queues.
  func shard(ofQueue group: String) -> Int {
    queues.map { Shard.index(of: $0.client(for: group), count: count) } ?? shard(of: group)
  }
}
