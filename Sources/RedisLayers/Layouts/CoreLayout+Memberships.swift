import ChannelLayers
import GatewayConfig
import Logging
import RedisClient

/// The memberships of this process in the layout of `channels_redis.core`: a group is a sorted set of channels.
///
/// This process is one member of a group, however many sessions it has there.
extension CoreLayout {
  /// The full name of this process's member of the group.
  private func channel(of group: RedisGroup) -> String { identity.client(for: group.name) + group.member }

  // MARK: - Joining

  func join(_ names: [String], _ shard: Int, of hub: isolated RedisHub) async {
    do {
      guard let connection = hub.shards[shard].commands.connection else { throw RedisFailure.notConnected }
      try await enter(names.compactMap { hub.interest[$0] }, of: hub, on: connection)
    } catch {
      hub.note("groups could not be joined", "\(error)")
      for name in names { hub.refused(name) }
      hub.shards[shard].commands.close()
    }
  }

  /// Writes all memberships again, after a connection or the data of Redis was lost.
  ///
  /// The sign of life comes first: after it, no other process removes what follows.
  func joinAgain(_ shard: Int, of hub: isolated RedisHub) async throws(RedisFailure) {
    guard let connection = hub.shards[shard].commands.connection else { return }
    // None is expected any more, so that its absence is no news that Redis was emptied.
    hasSignOfLife[shard] = false
    _ = try await beat(shard, of: hub, on: connection)
    try await enter(hub.interest.wanted(shard), of: hub, on: connection)
  }

  /// Adds this process to the groups. A group whose key has a value of another type is refused, without affecting the others.
  private func enter(
    _ groups: [RedisGroup], of hub: isolated RedisHub, on connection: RedisConnection
  ) async throws(RedisFailure) {
    for part in groups.parts(of: 250) {
      let now = MessageClock.now()
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
          hub.note("a group could not be joined", "\(group.name): \(message)")
          hub.refused(group.name)
        } else {
          hub.joined(group.name)
        }
        if case .error(let message) = replies[place + 2] {
          hub.note("a membership could not be registered for removal if this process is killed", message)
        }
      }
    }
  }

  // MARK: - Leaving

  private func leave(
    _ groups: [RedisGroup], of hub: isolated RedisHub, on connection: RedisConnection
  ) async throws(RedisFailure) {
    let replies = try await connection.send(
      groups.flatMap { group in
        [
          RESPCommand("ZREM", .init(register.key(ofGroup: group.name)), .init(channel(of: group))),
          register.leave(channel(of: group)),
        ]
      })
    // If the key has a value of another type, there is nothing to leave.
    for case .error(let message) in replies { hub.note("a group could not be left", message) }
    hub.interest.left(groups)
  }

  /// Removes all entries of this process from Redis.
  func withdraw(_ hub: isolated RedisHub) async {
    for shard in hub.shards.indices {
      guard let connection = hub.shards[shard].commands.connection else { continue }
      do {
        try await leave(hub.interest.all(shard), of: hub, on: connection)
        try await register.withdraw(on: connection)
      } catch {
        // Another process removes the entries.
        hub.log.debug(
          "memberships could not be withdrawn", metadata: ["layer": "\(hub.alias)", "reason": "\(error)"])
      }
    }
  }

  // MARK: - Every second

  func tend(_ shard: Int, beat count: Int, of hub: isolated RedisHub) async {
    // Once for all shards.
    if shard == 0 { outgoing.forgetEmpty() }
    let link = hub.shards[shard].commands
    guard let connection = link.connection, link.isUp else { return }
    do {
      let isKnown = try await beat(shard, of: hub, on: connection)
      try await leave(hub.interest.takeLeaving(shard, at: .now), of: hub, on: connection)
      let renewal = max(1, min(30, register.groupExpiry / 3))
      if !isKnown || count % renewal == 0 {
        try await enter(hub.interest.known(shard), of: hub, on: connection)
      }
      // After an outage the other processes have time to come back.
      if count % 5 == 0, link.hasBeenUp(for: Self.grace) { try await clearAway(of: hub, on: connection) }
    } catch {
      hub.note("memberships could not be renewed", "\(error)")
      if error.endsConnection { connection.close() }
    }
  }

  /// - Returns: whether Redis still has the memberships of this process.
  private func beat(
    _ shard: Int, of hub: isolated RedisHub, on connection: RedisConnection
  ) async throws(RedisFailure) -> Bool {
    let expected = hasSignOfLife[shard]
    hasSignOfLife[shard] = false
    let isKnown = try await register.beat(on: connection)
    hasSignOfLife[shard] = true
    if !isKnown, expected {
      hub.log.warning("Redis was emptied; joining again", metadata: ["layer": "\(hub.alias)"])
    }
    return isKnown
  }

  /// How long after this process's own return no other process is considered dead. Longer than the longest wait of `Backoff`.
  private static let grace = Duration.seconds(10)

  private func clearAway(
    of hub: isolated RedisHub, on connection: RedisConnection
  ) async throws(RedisFailure) {
    for id in try await register.silent(on: connection) where try await register.forget(id, on: connection) {
      hub.log.info(
        "the memberships of an ended process were removed",
        metadata: ["layer": "\(hub.alias)", "process": "\(id)"])
    }
  }
}
