import RedisClient

/// Puts messages into queues as far as there is room; one round trip for all queues of a shard.
///
/// KEYS: the queues. ARGV: the score up to which messages are too old, the life of a queue in seconds, and for each queue its
/// capacity, the number of its messages, and for each message its score and its bytes. Returns, for each queue, how many of its
/// messages were stored: always the first ones, so that their order is kept. -1 for a key with a value of another type.
///
/// Messages are added before old ones are removed: Redis does not stop a script for lack of memory once it has written, so the
/// first command that writes has to be one that Redis refuses then.
enum QueueScript {
  private static let script = RedisScript(
    """
    local at = 3
    local taken = {}
    for i, queue in ipairs(KEYS) do
      local capacity = tonumber(ARGV[at])
      local offered = tonumber(ARGV[at + 1])
      at = at + 2
      local held = redis.pcall('ZCOUNT', queue, '(' .. ARGV[1], '+inf')
      if type(held) == 'table' then
        if not string.find(held.err, 'WRONGTYPE', 1, true) then return held end
        taken[i] = -1
      else
        local count = math.max(0, math.min(capacity - held, offered))
        for j = 0, count - 1 do
          redis.call('ZADD', queue, ARGV[at + 2 * j], ARGV[at + 2 * j + 1])
        end
        taken[i] = count
      end
      at = at + 2 * offered
    end
    for i, queue in ipairs(KEYS) do
      if taken[i] > 0 then redis.call('EXPIRE', queue, ARGV[2]) end
      if taken[i] >= 0 then redis.call('ZREMRANGEBYSCORE', queue, '-inf', ARGV[1]) end
    end
    return taken
    """)

  /// - Returns: for each queue, how many of its messages were stored; nil if its key holds a value of another type.
  static func run(
    keys: [String], arguments: [RESPArgument], on connection: RedisConnection
  ) async throws(RedisFailure) -> [Int?] {
    let reply = try await script.run(keys: keys, arguments, on: connection)
    guard case .array(let counts) = reply, counts.count == keys.count else {
      throw .unexpectedReply(to: "EVALSHA")
    }
    return counts.map { count in
      if case .integer(let number) = count, number >= 0 { Int(number) } else { nil }
    }
  }
}
