import Crypto

/// Puts messages into queues as far as there is room; one round trip for all queues of a shard.
///
/// KEYS: the queues. ARGV: the score below which messages are too old, the life of a queue in seconds, and for each queue its
/// capacity, the number of its messages, and for each message its score and its bytes. Returns, for each queue, how many of
/// its messages found room: always the first ones, so that their order is kept.
enum QueueScript {
  static let text = """
    local at = 3
    local taken = {}
    for i, queue in ipairs(KEYS) do
      local capacity = tonumber(ARGV[at])
      local offered = tonumber(ARGV[at + 1])
      at = at + 2
      redis.call('ZREMRANGEBYSCORE', queue, 0, ARGV[1])
      local room = capacity - redis.call('ZCARD', queue)
      local count = math.max(0, math.min(room, offered))
      for j = 0, count - 1 do
        redis.call('ZADD', queue, ARGV[at + 2 * j], ARGV[at + 2 * j + 1])
      end
      if count > 0 then redis.call('EXPIRE', queue, ARGV[2]) end
      at = at + 2 * offered
      taken[i] = count
    end
    return taken
    """

  private static let digest = Insecure.SHA1.hash(data: Array(text.utf8)).hexadecimal

  /// Runs the script by its digest; where the server does not know it yet, by its text.
  static func run(
    keys: [String], arguments: [RESPArgument], on connection: RedisConnection
  ) async throws(RedisFailure) -> [Int] {
    let tail = [RESPArgument(keys.count)] + keys.map { RESPArgument($0) } + arguments
    var reply: RESPValue
    do {
      reply = try await connection.send(RESPCommand("EVALSHA", [RESPArgument(digest)] + tail))
    } catch .refused(let message) where message.hasPrefix("NOSCRIPT") {
      reply = try await connection.send(RESPCommand("EVAL", [RESPArgument(text)] + tail))
    }
    guard case .array(let counts) = reply, counts.count == keys.count else {
      throw .unexpectedReply(to: "EVALSHA")
    }
    return counts.map { if case .integer(let count) = $0 { Int(count) } else { 0 } }
  }
}
