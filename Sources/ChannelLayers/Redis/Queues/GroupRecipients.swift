import GatewayConfig

/// The members of a group as it was found in Redis, by the queues they read.
struct GroupRecipients: Equatable {
  struct Queue: Equatable {
    var key: String
    var shard: Int
    var capacity: Int
    /// The full names of those behind it that are in the group.
    var channels: [String]
  }

  private(set) var queues: [Queue] = []
  /// Sessions of this process that were added by their addresses.
  private(set) var sessions: [Substring] = []

  init(
    _ channels: [String], except identity: RedisIdentity, _ configuration: RedisLayerConfiguration
  ) {
    var places: [String: Int] = [:]
    for channel in channels {
      if let local = identity.local(channel) {
        // What is no session is our own member, which gets its events without Redis.
        if SessionAddresses.parse(local) != nil { sessions.append(local) }
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
