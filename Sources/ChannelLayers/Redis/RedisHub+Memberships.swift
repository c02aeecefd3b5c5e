import GatewayConfig
import Logging

/// The memberships of this process in the layout of `channels_redis.core`: a group is a sorted set of channels.
///
/// This process is one member of a group, however many sessions it has there.
extension RedisHub {
  /// The full name of this process's member of the group.
  private func channel(of group: RedisGroup) -> String { identity.client(for: group.name) + group.member }

  // MARK: - Joining

  func joinQueues(_ names: [String], _ shard: Int) async {
    do {
      guard let connection = shards[shard].commands.connection else { throw RedisFailure.notConnected }
      try await enter(names.compactMap { interest[$0] }, on: connection)
    } catch {
      note("groups could not be joined", "\(error)")
      for name in names { refused(name) }
      shards[shard].commands.close()
    }
  }

  /// Writes all memberships again, after a connection or the data of Redis was lost.
  ///
  /// The sign of life comes first: after it, no other process removes what follows.
  func joinAgain(_ shard: Int) async throws(RedisFailure) {
    guard configuration.layout == .core, let connection = shards[shard].commands.connection else { return }
    shards[shard].hasSignOfLife = false
    _ = try await register.beat(on: connection)
    shards[shard].hasSignOfLife = true
    try await enter(interest.wanted(shard), on: connection)
  }

  /// Adds this process to the groups. A group whose key has a value of another type is refused, without affecting the others.
  private func enter(_ groups: [RedisGroup], on connection: RedisConnection) async throws(RedisFailure) {
    for start in stride(from: 0, to: groups.count, by: 250) {
      let now = MessageClock.now()
      let part = groups[start..<min(start + 250, groups.count)]
      let replies = try await connection.send(
        part.flatMap { group in
          let key = register.key(ofGroup: group.name)
          return [
            RESPCommand("ZADD", .init(key), .init(now), .init(channel(of: group))),
            RESPCommand("EXPIRE", .init(key), .init(register.groupExpiry)),
            register.enter(channel(of: group), in: group.name),
          ]
        })
      for (group, place) in zip(part, stride(from: 0, to: replies.count, by: 3)) {
        if case .error(let message) = replies[place] {
          note("a group could not be joined", "\(group.name): \(message)")
          refused(group.name)
        } else {
          joined(group.name)
        }
        if case .error(let message) = replies[place + 2] {
          note("a membership could not be registered for removal if this process is killed", message)
        }
      }
    }
  }

  // MARK: - Leaving

  private func leave(_ groups: [RedisGroup], on connection: RedisConnection) async throws(RedisFailure) {
    let replies = try await connection.send(
      groups.flatMap { group in
        [
          RESPCommand("ZREM", .init(register.key(ofGroup: group.name)), .init(channel(of: group))),
          register.leave(channel(of: group)),
        ]
      })
    // If the key has a value of another type, there is nothing to leave.
    for case .error(let message) in replies { note("a group could not be left", message) }
    interest.left(groups)
  }

  /// Removes all entries of this process from Redis.
  func withdraw() async {
    for shard in shards.indices {
      guard let connection = shards[shard].commands.connection else { continue }
      do {
        try await leave(interest.all(shard), on: connection)
        try await register.withdraw(on: connection)
      } catch {
        // Another process removes the entries.
        log.debug(
          "memberships could not be withdrawn", metadata: ["layer": "\(alias)", "reason": "\(error)"])
      }
    }
  }

  // MARK: - Every second

  func tendQueues(beat count: Int) async {
    await withDiscardingTaskGroup { tasks in
      for shard in shards.indices { tasks.addTask { await self.tend(shard, beat: count) } }
    }
    outgoing.forgetEmpty()
  }

  private func tend(_ shard: Int, beat count: Int) async {
    let link = shards[shard].commands
    guard let connection = link.connection, link.isUp else { return }
    do {
      let isKnown = try await beat(shard, on: connection)
      try await leave(interest.takeLeaving(shard, at: .now), on: connection)
      let renewal = max(1, min(30, register.groupExpiry / 3))
      if !isKnown || count % renewal == 0 { try await enter(interest.known(shard), on: connection) }
      // After an outage the other processes have time to come back.
      if count % 5 == 0, link.hasBeenUp(for: Self.grace) {
        try await clearAway(shard, on: connection)
      }
    } catch .refused(let refusal) where !refusal.endsConnection {
      note("memberships could not be renewed", refusal.description)
    } catch {
      note("memberships could not be renewed", "\(error)")
      connection.close()
    }
  }

  /// - Returns: whether Redis still has the memberships of this process.
  private func beat(_ shard: Int, on connection: RedisConnection) async throws(RedisFailure) -> Bool {
    let expected = shards[shard].hasSignOfLife
    shards[shard].hasSignOfLife = false
    let isKnown = try await register.beat(on: connection)
    shards[shard].hasSignOfLife = true
    if !isKnown, expected { log.warning("Redis was emptied; joining again", metadata: ["layer": "\(alias)"]) }
    return isKnown
  }

  /// How long after this process's own return no other process is considered dead. Longer than the longest wait of `Backoff`.
  private static let grace = Duration.seconds(10)

  private func clearAway(_ shard: Int, on connection: RedisConnection) async throws(RedisFailure) {
    for id in try await register.silent(on: connection) where try await register.forget(id, on: connection) {
      log.info(
        "the memberships of an ended process were removed",
        metadata: ["layer": "\(alias)", "process": "\(id)"])
    }
  }
}
