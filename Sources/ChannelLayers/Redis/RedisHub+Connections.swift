import GatewayConfig
import Logging

/// Keeps two connections to each shard, and opens them again when they end: one for commands, one for incoming messages.
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
    var backoff = Backoff()
    while !isStopping {
      do {
        let connection = try await shards[shard].connector.connect()
        guard !isStopping else { return connection.close() }
        shards[shard].commands = connection
        try await joinAgain(shard)
        shards[shard].joinedAt = .now
        updateAvailability(of: shard)
        await connection.waitUntilClosed()
        backoff.reset()
        lost(shard)
      } catch {
        shards[shard].commands?.close()
        report(error, shard)
      }
      shards[shard].commands = nil
      shards[shard].joinedAt = nil
      if configuration.layout == .core { interest.lost(shard) }
      updateAvailability(of: shard)
      await pause(backoff.wait())
    }
  }

  private func keepReceiving(_ shard: Int) async {
    var backoff = Backoff()
    while !isStopping {
      do {
        let connection = try await shards[shard].connector.connect()
        guard !isStopping else { return connection.close() }
        shards[shard].receiver = connection
        switch configuration.layout {
        case .core: try await receiveQueues(shard, on: connection)
        case .pubSub: try await receiveSubscriptions(shard, on: connection)
        }
      } catch {
        report(error, shard)
      }
      // A connection whose subscriptions are refused is not a success.
      if shards[shard].isReceiving, shards[shard].refusal == nil { backoff.reset() }
      shards[shard].receiver?.close()
      shards[shard].receiver = nil
      shards[shard].isReceiving = false
      // Subscriptions end with their connection, including those to groups without members.
      if configuration.layout == .pubSub { interest.lost(shard) }
      updateAvailability(of: shard)
      await pause(backoff.wait())
    }
  }

  /// A stop does not wait for the end of the pause: it cancels the task.
  private func pause(_ time: Duration) async {
    _ = try? await Task.sleep(for: time)
  }

  /// Events for this process arrive from now on.
  func receiving(_ shard: Int) {
    guard !shards[shard].isReceiving else { return }
    shards[shard].isReceiving = true
    updateAvailability(of: shard)
  }

  private func updateAvailability(of shard: Int) {
    let isUp = !isStopping && shards[shard].isJoined && shards[shard].isReceiving
    guard availability.set(shard, isUp: isUp), isUp else { return }
    shards[shard].isOutageLogged = false
    guard availability.isComplete else { return }
    outage = nil
    log.notice("channel layer available", metadata: ["layer": "\(alias)"])
  }

  /// Writes one line for each outage of a shard, not for each attempt.
  private func report(_ failure: any Error, _ shard: Int) {
    guard !isStopping else { return }
    outage = "\(shards[shard].connector.host): \(failure)"
    guard !shards[shard].isOutageLogged else { return }
    shards[shard].isOutageLogged = true
    log.error(
      "channel layer not available",
      metadata: ["layer": "\(alias)", "host": "\(shards[shard].connector.host)", "reason": "\(failure)"])
  }

  /// The connection for commands has ended. The events sent last may have been lost with it.
  private func lost(_ shard: Int) {
    guard !isStopping else { return }
    report(RedisFailure.disconnected, shard)
    for receipt in shards[shard].recent.takeAll(at: .now) { tell(receipt, .unconfirmed) }
  }
}
