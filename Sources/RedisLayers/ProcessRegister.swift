import GatewayConfig
import RedisClient

/// The processes that use a layer, the memberships of each, and a sign of life of each, so that other processes can remove the
/// entries of one that was killed.
///
/// It has its own name space: no channel or group can have a ":" in its name.
struct ProcessRegister: Sendable {
  /// How much longer a sign of life lasts than a message. Seconds.
  static let margin = 15

  let groupExpiry: Int
  /// A process that was cut off for less than this is not considered dead. Longer than messages are kept, so that no message is
  /// discarded that could still have been read. Seconds.
  let lifeSign: Int
  private let prefix: String
  private let id: String

  init(_ configuration: RedisLayerConfiguration, id: String) {
    prefix = configuration.prefix
    groupExpiry = configuration.groupExpiry.wholeSeconds
    lifeSign = configuration.expiry.wholeSeconds + Self.margin
    self.id = id
  }

  func key(ofGroup group: String) -> String { "\(prefix):group:\(group)" }
  private var processesKey: String { "\(prefix):sluice:processes" }
  private func aliveKey(_ id: String) -> String { "\(prefix):sluice:alive:\(id)" }
  private func membersKey(_ id: String) -> String { "\(prefix):sluice:members:\(id)" }

  // MARK: - This process

  /// - Returns: whether the last sign of life was still there. If not, Redis has lost its data, or another process has
  ///   removed the entries.
  func beat(on connection: RedisConnection) async throws(RedisFailure) -> Bool {
    let replies = try await connection.send([
      RESPCommand("EXISTS", .init(aliveKey(id))),
      RESPCommand("SET", .init(aliveKey(id)), "1", "EX", .init(lifeSign)),
      RESPCommand("SADD", .init(processesKey), .init(id)),
      RESPCommand("EXPIRE", .init(membersKey(id)), .init(groupExpiry)),
    ])
    for case .error(let message) in replies { throw .refused(RedisRefusal(message)) }
    return replies[0] == .integer(1)
  }

  /// Notes that the channel is a member of the group.
  func enter(_ channel: String, in group: String) -> RESPCommand {
    RESPCommand("HSET", .init(membersKey(id)), .init(channel), .init(group))
  }

  func leave(_ channel: String) -> RESPCommand {
    RESPCommand("HDEL", .init(membersKey(id)), .init(channel))
  }

  /// Removes all entries of this process from Redis.
  func withdraw(on connection: RedisConnection) async throws(RedisFailure) {
    _ = try await connection.send(RESPCommand("DEL", .init(aliveKey(id))))
    _ = try await forget(id, on: connection)
  }

  // MARK: - Others

  /// Other processes that seem to have ended without removing their entries.
  func silent(on connection: RedisConnection) async throws(RedisFailure) -> [String] {
    guard case .array(let known) = try await connection.send(RESPCommand("SMEMBERS", .init(processesKey)))
    else { return [] }
    let ids = known.compactMap(\.text).filter { $0 != id }
    let alive = try await connection.send(ids.map { RESPCommand("EXISTS", .init(aliveKey($0))) })
    return zip(ids, alive).filter { $1 == .integer(0) }.map(\.0)
  }

  /// KEYS: the sign of life, the memberships, the processes, and the queues. ARGV: the process, and the prefix of groups' keys.
  /// A group's key with a value of another type is left alone.
  ///
  /// It is one script, so that a process that comes back in between is either seen to be alive, or finds out that it has to
  /// join again.
  private static let forgetting = RedisScript(
    """
    if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
    local members = redis.pcall('HGETALL', KEYS[2])
    if not members.err then
      for i = 1, #members, 2 do
        redis.pcall('ZREM', ARGV[2] .. members[i + 1], members[i])
      end
    end
    for i, key in ipairs(KEYS) do
      if i ~= 3 then redis.call('DEL', key) end
    end
    redis.pcall('SREM', KEYS[3], ARGV[1])
    return 1
    """)

  /// Removes the memberships and queues of a process from Redis if it is dead, and returns whether it was.
  func forget(_ id: String, on connection: RedisConnection) async throws(RedisFailure) -> Bool {
    let queues = RedisIdentity.clients(id).map { prefix + $0 }
    let reply = try await Self.forgetting.run(
      keys: [aliveKey(id), membersKey(id), processesKey] + queues, [.init(id), .init(key(ofGroup: ""))],
      on: connection)
    return reply == .integer(1)
  }
}
