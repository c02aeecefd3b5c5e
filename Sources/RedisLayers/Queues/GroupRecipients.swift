import ChannelLayers
import GatewayConfig

/// The members of a group in Redis, by the queues that they read.
struct GroupRecipients: Equatable {
  struct Queue: Equatable {
    var key: String
    var shard: Int
    var capacity: Int
    /// The full names of the channels behind this queue that are in the group.
    var channels: [String]
  }

  private(set) var queues: [Queue] = []
  /// Sessions of this process that were added by their addresses.
  private(set) var sessions: [Substring] = []

  init(_ channels: [String], except identity: RedisIdentity, _ configuration: RedisLayerConfiguration) {
    var places: [String: Int] = [:]
    for channel in channels {
      if let local = identity.local(channel) {
        // Anything but a session is this process's own member, whose sessions get the event without Redis.
        if identity.sessions.member(of: local) != nil { sessions.append(local) }
        continue
      }
      let reader = channel.firstIndex(of: "!").map { String(channel[...$0]) } ?? channel
      if let place = places[reader] {
        queues[place].channels.append(channel)
        continue
      }
      places[reader] = queues.count
      queues.append(
        Queue(
          key: configuration.prefix + reader,
          shard: Shard.index(of: reader, count: configuration.hosts.count),
          capacity: configuration.capacity(of: channel), channels: [channel]))
    }
  }
}
