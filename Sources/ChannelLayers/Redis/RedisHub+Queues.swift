import GatewayConfig
import Logging
import NIOCore
import Synchronization

/// The layout of `channels_redis.core`: a group is a sorted set of channels, and every process has a queue, also a sorted set.
///
/// This process is one member of a group, however many sessions it has there.
extension RedisHub {
  private var prefix: String { configuration.prefix }

  private func key(ofGroup group: String) -> String { "\(prefix):group:\(group)" }

  /// The full name of our member of the group.
  private func channel(of group: RedisGroup) -> String { identity.client(for: group.name) + group.member }

  private var groupExpiry: Int { configuration.groupExpiry.wholeSeconds }

  // MARK: - Memberships

  /// - Returns: whether Redis has them now.
  func joinQueues(_ names: [String], _ shard: Int) async -> Bool {
    guard let connection = shards[shard].commands else { return false }
    do {
      try await enter(names.compactMap { groups[$0] }, on: connection)
      return true
    } catch {
      note("a group could not be joined", "\(error)")
      connection.close()
      return false
    }
  }

  /// After a connection was lost, or Redis was: says again what we are members of.
  func joinAgain(_ shard: Int) async throws(RedisFailure) {
    guard configuration.layout == .core, let connection = shards[shard].commands else { return }
    let mine = groups.values.filter { $0.shard == shard && !$0.reactors.isEmpty }
    try await enter(mine, on: connection)
    try await beat(on: connection)
    for group in mine { joined(group.name, .active) }
    try await clearAwayTheDead(on: connection)
  }

  private func enter(_ groups: [RedisGroup], on connection: RedisConnection) async throws(RedisFailure) {
    for start in stride(from: 0, to: groups.count, by: 250) {
      let now = MessageClock.now()
      let commands = groups[start..<min(start + 250, groups.count)].flatMap { group in
        [
          RESPCommand("ZADD", .init(key(ofGroup: group.name)), .init(now), .init(channel(of: group))),
          RESPCommand("EXPIRE", .init(key(ofGroup: group.name)), .init(groupExpiry)),
          RESPCommand("HSET", .init(membersKey(identity.id)), .init(group.name), .init(channel(of: group))),
        ]
      }
      try await sendAll(commands, on: connection)
    }
  }

  private func leave(_ groups: [RedisGroup], on connection: RedisConnection) async throws(RedisFailure) {
    let commands = groups.flatMap { group in
      [
        RESPCommand("ZREM", .init(key(ofGroup: group.name)), .init(channel(of: group))),
        RESPCommand("HDEL", .init(membersKey(identity.id)), .init(group.name)),
      ]
    }
    try await sendAll(commands, on: connection)
  }

  private func sendAll(_ commands: [RESPCommand], on connection: RedisConnection) async throws(RedisFailure) {
    for reply in try await connection.send(commands) {
      if case .error(let message) = reply { throw .refused(message) }
    }
  }

  /// Takes everything of this process out of Redis.
  func withdraw() async {
    for shard in shards.indices {
      guard let connection = shards[shard].commands else { continue }
      let mine = groups.values.filter { $0.shard == shard }
      do {
        try await leave(mine, on: connection)
        try await forget(identity.id, on: connection)
      } catch {
        // Another process clears it away.
        log.debug("could not withdraw", metadata: ["layer": "\(alias)", "reason": "\(error)"])
      }
    }
    groups = [:]
  }

  // MARK: - Signs of life

  // In a name space of our own: no channel or group can have a ":" in its name.
  private var processesKey: String { "\(prefix):sluice:processes" }
  private func aliveKey(_ id: String) -> String { "\(prefix):sluice:alive:\(id)" }
  private func membersKey(_ id: String) -> String { "\(prefix):sluice:members:\(id)" }

  private static let lifeSign = 15

  /// - Returns: whether the last sign of life was still there; where not, Redis has lost what it knew.
  @discardableResult
  private func beat(on connection: RedisConnection) async throws(RedisFailure) -> Bool {
    let replies = try await connection.send([
      RESPCommand("EXISTS", .init(aliveKey(identity.id))),
      RESPCommand("SET", .init(aliveKey(identity.id)), "1", "EX", .init(Self.lifeSign)),
      RESPCommand("SADD", .init(processesKey), .init(identity.id)),
      RESPCommand("EXPIRE", .init(membersKey(identity.id)), .init(groupExpiry)),
    ])
    return replies[0] == .integer(1)
  }

  /// Takes out the memberships and queues of processes that ended without doing so themselves.
  private func clearAwayTheDead(on connection: RedisConnection) async throws(RedisFailure) {
    guard case .array(let known) = try await connection.send(RESPCommand("SMEMBERS", .init(processesKey)))
    else { return }
    let ids = known.compactMap(\.text).filter { $0 != identity.id }
    let alive = try await connection.send(ids.map { RESPCommand("EXISTS", .init(aliveKey($0))) })
    for (id, reply) in zip(ids, alive) where reply == .integer(0) {
      log.info("clearing away a process that ended", metadata: ["layer": "\(alias)", "process": "\(id)"])
      try await forget(id, on: connection)
    }
  }

  private func forget(_ id: String, on connection: RedisConnection) async throws(RedisFailure) {
    if case .array(let fields) = try await connection.send(RESPCommand("HGETALL", .init(membersKey(id)))) {
      let texts = fields.compactMap(\.text)
      let commands = stride(from: 0, to: texts.count - 1, by: 2).map { place in
        RESPCommand("ZREM", .init(key(ofGroup: texts[place])), .init(texts[place + 1]))
      }
      try await sendAll(commands, on: connection)
    }
    let queues = (0..<RedisIdentity.stripeCount).map { RESPArgument("\(prefix)specific.\(id)-\($0)!") }
    try await sendAll(
      [
        RESPCommand("DEL", queues + [.init(membersKey(id)), .init(aliveKey(id))]),
        RESPCommand("SREM", .init(processesKey), .init(id)),
      ], on: connection)
  }

  /// Called every second.
  func tendQueues(beat count: Int) async {
    let idle = takeIdleGroups()
    let renewal = max(1, min(30, groupExpiry / 3))
    for shard in shards.indices where shards[shard].isJoined {
      guard let connection = shards[shard].commands else { continue }
      do {
        try await leave(idle.filter { $0.shard == shard }, on: connection)
        let isKnown = try await beat(on: connection)
        if !isKnown { log.warning("Redis was emptied; joining again", metadata: ["layer": "\(alias)"]) }
        if !isKnown || count % renewal == 0 {
          try await enter(groups.values.filter { $0.shard == shard && $0.isJoined }, on: connection)
        }
        if count % 5 == 0 { try await clearAwayTheDead(on: connection) }
      } catch {
        note("memberships could not be renewed", "\(error)")
        connection.close()
      }
    }
    outgoing.forgetEmpty()
  }

  // MARK: - Events in

  private static let mostPopped = 200
  /// Seconds that Redis waits for a message.
  private static let popTimeout = 5

  /// Takes messages out of our queues until the connection ends.
  ///
  /// All of our queues are read on every shard: with several hosts `send` of channels_redis puts a message for a single
  /// channel on another shard than the one its reader would look at.
  func receiveQueues(
    _ shard: Int, on connection: RedisConnection, established: () -> Void
  ) async throws(RedisFailure) {
    var keys = identity.clients.map { prefix + $0 }
    var pop = QueuePop.many
    _ = try await connection.send(RESPCommand("PING"))
    established()
    receiving(shard)
    while !stops {
      let messages: [[UInt8]]
      do {
        messages = try await pop.next(
          of: keys, seconds: Self.popTimeout, most: Self.mostPopped, on: connection)
      } catch .refused(let message) where message.contains("unknown command") && pop == .many {
        pop = .one
        continue
      }
      for message in messages { receive(message) }
      keys.append(keys.removeFirst())
    }
  }

  private func receive(_ bytes: [UInt8]) {
    guard bytes.count >= configuration.randomPrefixLength else { return unreadable("it is too short") }
    let incoming: IncomingMessage
    do throws(CodecFault) {
      incoming = try codec.decode(
        Array(bytes[configuration.randomPrefixLength...]),
        maximumAge: UInt64(configuration.expiry.wholeSeconds + 10), now: UInt64(MessageClock.now()))
    } catch {
      return unreadable("\(error)")
    }
    switch incoming.targets {
    case .none: unreadable("it names no channel")
    case .one(let channel): receive(incoming.event, for: channel)
    case .many(let channels): for channel in channels { receive(incoming.event, for: channel) }
    }
  }

  private func receive(_ event: Event, for channel: String) {
    guard let local = identity.local(channel) else {
      counters.strangers.add(1, ordering: .relaxed)
      return
    }
    if let name = groupsByMember[String(local)] {
      if let group = groups[name] { deliver(event, to: group) }
    } else {
      deliver(event, toAddress: local)
    }
  }

  // MARK: - Events out

  /// A group as it was found in Redis, its members by the queues they read.
  private struct Members {
    var queues: [(key: String, shard: Int, capacity: Int, channels: [String])] = []
    /// Sessions of this process that were added by their addresses.
    var sessions: [Substring] = []
  }

  /// Two round trips for a whole batch: who is in the groups, and the messages.
  func publishToQueues(_ batch: [OutgoingEvent]) async {
    let members = await members(of: Set(batch.map(\.group)))
    for event in batch {
      guard let members = members[event.group] else {
        tell(event.sender, .unavailable)
        continue
      }
      do throws(CodecFault) {
        try enqueue(event, for: members)
      } catch {
        tell(event.sender, .notSerializable)
      }
    }
    await flushQueues()
  }

  private func members(of names: Set<String>) async -> [String: Members] {
    var found: [String: Members] = [:]
    for (shard, names) in Dictionary(grouping: names, by: { Shard.index(of: $0, count: shards.count) }) {
      guard let connection = shards[shard].commands else { continue }
      let oldest = Int(MessageClock.now()) - groupExpiry
      let commands = names.flatMap { name in
        [
          RESPCommand("ZREMRANGEBYSCORE", .init(key(ofGroup: name)), "0", .init(oldest)),
          RESPCommand("ZRANGE", .init(key(ofGroup: name)), "0", "-1"),
        ]
      }
      do {
        let replies = try await connection.send(commands)
        for (index, name) in names.enumerated() {
          guard case .array(let channels) = replies[2 * index + 1] else {
            note("a group could not be read", replies[2 * index + 1].text ?? "an unexpected reply")
            continue
          }
          found[name] = bucket(channels.compactMap(\.text))
        }
      } catch {
        note("groups could not be read", "\(error)")
      }
    }
    return found
  }

  private func bucket(_ channels: [String]) -> Members {
    var members = Members()
    var places: [String: Int] = [:]
    for channel in channels {
      if let local = identity.local(channel) {
        if local.hasPrefix("r") { members.sessions.append(local) }
        continue
      }
      let reader = channel.firstIndex(of: "!").map { String(channel[...$0]) } ?? channel
      if let place = places[reader] {
        members.queues[place].channels.append(channel)
        continue
      }
      places[reader] = members.queues.count
      members.queues.append(
        (
          key: prefix + reader, shard: Shard.index(of: reader, count: shards.count),
          capacity: configuration.capacity(of: channel), channels: [channel]
        ))
    }
    return members
  }

  /// Sessions of this process get the event now, those of others through their queues.
  private func enqueue(_ outgoing: OutgoingEvent, for members: Members) throws(CodecFault) {
    let now = ContinuousClock.now
    if !members.queues.isEmpty {
      let encoded = try codec.encode(outgoing.event)
      let score = clock.next()
      for queue in members.queues {
        let body = codec.body(encoded, targets: .many(queue.channels), now: UInt64(score))
        let message = OutgoingQueues.Message(
          bytes: clock.uniquePrefix(configuration.randomPrefixLength) + body, score: score,
          group: outgoing.group,
          sender: outgoing.sender, deadline: now + OutgoingQueues.patience)
        if !self.outgoing.add(message, to: queue.key, shard: queue.shard, capacity: queue.capacity) {
          overCapacity(1, outgoing.group)
        }
      }
    }
    counters.sent.add(1, ordering: .relaxed)
    if let group = groups[outgoing.group] { deliver(outgoing.event, to: group) }
    for session in members.sessions { deliver(outgoing.event, toAddress: session) }
  }

  private static let mostOffered = 100

  /// Puts waiting messages into their queues, as far as these have room.
  private func flushQueues() async {
    for shard in shards.indices {
      while case let keys = outgoing.ready(shard, at: .now).prefix(64), !keys.isEmpty {
        guard let connection = shards[shard].commands else {
          for key in keys { fail(key, .unavailable) }
          continue
        }
        await flush(Array(keys), shard, on: connection)
      }
    }
    guard let next = outgoing.nextTry else { return }
    wakeCarrier(at: next)
  }

  private func flush(_ keys: [String], _ shard: Int, on connection: RedisConnection) async {
    let expiry = configuration.expiry.wholeSeconds
    var arguments: [RESPArgument] = [.init(Int(MessageClock.now()) - expiry), .init(expiry)]
    let offers = keys.map { outgoing.offer($0, atMost: Self.mostOffered) }
    for (key, offer) in zip(keys, offers) {
      arguments += [.init(outgoing.queues[key]?.capacity ?? 0), .init(offer.count)]
      arguments += offer.flatMap { [RESPArgument($0.score), RESPArgument($0.bytes)] }
    }
    do {
      let taken = try await QueueScript.run(keys: keys, arguments: arguments, on: connection)
      let now = ContinuousClock.now
      for ((key, offer), count) in zip(zip(keys, offers), taken) {
        for message in offer.prefix(count) { shards[shard].recent.add(message.sender, at: now) }
        for late in outgoing.took(count, of: offer.count, key, at: now) { overCapacity(1, late.group) }
      }
    } catch {
      note("messages could not be sent", "\(error)")
      for key in keys { fail(key, .unconfirmed) }
    }
  }

  /// Gives up what waits for the queue, and tells its senders.
  private func fail(_ key: String, _ reason: Undelivered) {
    let waiting = outgoing.offer(key, atMost: .max)
    outgoing.drop(waiting.count, key)
    for message in waiting { tell(message.sender, reason) }
  }

  private func overCapacity(_ count: Int, _ group: String) {
    counters.overCapacity.add(count, ordering: .relaxed)
    note("a queue is full, and a message for it was dropped", group)
  }

  private func unreadable(_ fault: String) {
    counters.unreadable.add(1, ordering: .relaxed)
    note("a message from Redis could not be read", fault)
  }
}

/// How messages are taken out of queues.
private enum QueuePop {
  /// `BZMPOP`, since Redis 7: many with one command.
  case many
  /// `BZPOPMIN`, since Redis 5: one, and then what else is there.
  case one

  /// - Returns: the messages, oldest first; none where none came in time.
  func next(
    of keys: [String], seconds: Int, most: Int, on connection: RedisConnection
  ) async throws(RedisFailure) -> [[UInt8]] {
    let names = keys.map { RESPArgument($0) }
    let patience = RedisConnection.patience + .seconds(Int64(seconds))
    switch self {
    case .many:
      let arguments: [RESPArgument] =
        [.init(seconds), .init(keys.count)] + names + ["MIN", "COUNT", .init(most)]
      guard
        case .array(let reply) = try await connection.send(
          RESPCommand("BZMPOP", arguments), patience: patience),
        reply.count == 2, case .array(let entries) = reply[1]
      else { return [] }
      return entries.compactMap { entry in
        guard case .array(let pair) = entry, case .bulkString(let bytes)? = pair.first else { return nil }
        return bytes
      }
    case .one:
      guard
        case .array(let reply) = try await connection.send(
          RESPCommand("BZPOPMIN", names + [.init(seconds)]), patience: patience),
        reply.count == 3, let key = reply[0].text, case .bulkString(let first) = reply[1]
      else { return [] }
      guard
        case .array(let rest) = try await connection.send(RESPCommand("ZPOPMIN", .init(key), .init(most - 1)))
      else { return [first] }
      let more = stride(from: 0, to: rest.count, by: 2).compactMap { place -> [UInt8]? in
        if case .bulkString(let bytes) = rest[place] { bytes } else { nil }
      }
      return [first] + more
    }
  }
}


extension Duration {
  var wholeSeconds: Int { Int(components.seconds) }
}
