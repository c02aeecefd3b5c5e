import ChannelLayers
import Logging
import RedisClient

/// Keeps two connections to each shard: one for commands, one for incoming messages.
extension RedisHub {
  func keepConnections() async {
    await withDiscardingTaskGroup { tasks in
      for shard in shards.indices {
        tasks.addTask { await self.keepCommands(shard) }
        tasks.addTask { await self.keepReceiving(shard) }
      }
    }
  }

  private func keepCommands(_ shard: Int) async {
    let link = shards[shard].commands
    await link.keep { connection in
      try await layout.joinAgain(shard, of: self)
      link.confirm()
      updateAvailability(of: shard)
      await connection.waitUntilClosed()
      lost(shard)
      throw RedisFailure.disconnected
    } ended: { failure in
      ended(shard, .commands, failure)
    }
  }

  private func keepReceiving(_ shard: Int) async {
    await shards[shard].receiver.keep { connection in
      try await layout.receive(shard, on: connection, for: self)
    } ended: { failure in
      ended(shard, .receiver, failure)
    }
  }

  /// Events for this process arrive from now on.
  func receiving(_ shard: Int) {
    if shards[shard].receiver.confirm() { updateAvailability(of: shard) }
  }

  private func updateAvailability(of shard: Int) {
    let isUp = !isStopping && shards[shard].commands.isUp && shards[shard].receiver.isUp
    guard availability.set(shard, isUp: isUp), isUp else { return }
    shards[shard].outage.close()
    guard availability.isComplete else { return }
    outage = nil
    log.notice("channel layer available", metadata: ["layer": "\(alias)"])
  }

  private func ended(_ shard: Int, _ end: RedisShard.End, _ failure: (any Error)?) {
    // All of them, including those in groups without members.
    if end == layout.membershipEnd { interest.lost(shard) }
    if let failure, !isStopping { outage = "\(shards[shard].connector.host): \(failure)" }
    updateAvailability(of: shard)
  }

  /// The connection for commands has ended. The events sent last may have been lost with it.
  private func lost(_ shard: Int) {
    guard !isStopping else { return }
    for receipt in shards[shard].recent.takeAll(at: .now) { tell(receipt, .unconfirmed) }
  }
}
