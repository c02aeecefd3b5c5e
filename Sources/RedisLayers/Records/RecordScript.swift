import RedisClient

/// The scripts for the records of sessions in Redis.
///
/// A lot is a hash from address to record, `:records:LOT`, and a second one with those that somebody is telling a view of just now,
/// `:begun:LOT`. Whose it is stands in `:lots:PROCESS`, a hash from lot to "KIND", or "KIND TIME" if it was another process's, with that
/// process's last sign of life. `:processes` is a hash from process to the time of its last sign of life, with " left" behind it once it
/// has ended in order; `:alive:PROCESS` is the sign itself, which expires. `:taken:LOT` says that a lot was taken over.
///
/// A lot changes hands by one script, and everything that its owner does checks that it still is the owner. So of several processes
/// exactly one takes over, and a process that comes back finds out that it was taken for dead.
enum RecordScript {
  /// KEYS: the processes, the sign of life, and the lots of this process. ARGV: the process, its life in milliseconds, the time, the
  /// prefix of all keys, seconds until its entries expire, and the lots that should be there. Returns whether the last sign of life was
  /// there; the silent processes, each with its time; and the lots that are missing, each with whether it was taken over.
  static let beat = RedisScript(
    """
    local known = redis.call('EXISTS', KEYS[2])
    redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
    local missing = {}
    for i = 6, #ARGV do
      if redis.call('HGET', KEYS[3], ARGV[i]) then
        redis.call('EXPIRE', ARGV[4] .. ':records:' .. ARGV[i], ARGV[5])
        redis.call('EXPIRE', ARGV[4] .. ':begun:' .. ARGV[i], ARGV[5])
      else
        missing[#missing + 1] = ARGV[i]
        missing[#missing + 1] = redis.call('EXISTS', ARGV[4] .. ':taken:' .. ARGV[i])
      end
    end
    redis.call('EXPIRE', KEYS[1], ARGV[5])
    redis.call('EXPIRE', KEYS[3], ARGV[5])
    local silent = {}
    local processes = redis.call('HGETALL', KEYS[1])
    for i = 1, #processes, 2 do
      if redis.call('EXISTS', ARGV[4] .. ':alive:' .. processes[i]) == 0 then
        silent[#silent + 1] = processes[i]
        silent[#silent + 1] = processes[i + 1]
      end
    end
    return {known, silent, missing}
    """)

  /// KEYS: the lots of this process, and the records of the lot. ARGV: the lot, its kind, "new" if it may not be there, seconds until it
  /// expires, the number of records to write, each address with its record, and the addresses to remove. Returns 0 if the lot is not
  /// this process's any more.
  static let write = RedisScript(
    """
    if ARGV[3] == 'new' then
      redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
    elseif not redis.call('HGET', KEYS[1], ARGV[1]) then
      return 0
    end
    local written = 5 + 2 * tonumber(ARGV[5])
    for i = 6, written, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
    for i = written + 1, #ARGV do redis.call('HDEL', KEYS[2], ARGV[i]) end
    redis.call('EXPIRE', KEYS[1], ARGV[4])
    redis.call('EXPIRE', KEYS[2], ARGV[4])
    return 1
    """)

  /// KEYS: the sign of life and the lots of the silent process, the processes, the lots and the sign of life of this one. ARGV: the
  /// silent process, the prefix of all keys, seconds until a mark expires, and the kinds that this process can take over. Returns the
  /// lots, each with its kind and the last sign of life of the process whose it was first.
  static let take = RedisScript(
    """
    if redis.call('EXISTS', KEYS[1]) == 1 or redis.call('EXISTS', KEYS[5]) == 0 then return {} end
    local last = string.match(redis.call('HGET', KEYS[3], ARGV[1]) or '', '^%S+') or ''
    local wanted = {}
    for i = 4, #ARGV do wanted[ARGV[i]] = true end
    local taken = {}
    local left = 0
    local lots = redis.call('HGETALL', KEYS[2])
    for i = 1, #lots, 2 do
      local kind = string.match(lots[i + 1], '^%S+') or ''
      if wanted[kind] then
        local first = string.match(lots[i + 1], ' (%S+)$') or last
        redis.call('HDEL', KEYS[2], lots[i])
        redis.call('HSET', KEYS[4], lots[i], kind .. ' ' .. first)
        redis.call('SET', ARGV[2] .. ':taken:' .. lots[i], '1', 'EX', ARGV[3])
        taken[#taken + 1] = lots[i]
        taken[#taken + 1] = kind
        taken[#taken + 1] = first
      else
        left = left + 1
      end
    end
    if left == 0 then redis.call('HDEL', KEYS[3], ARGV[1]) end
    return taken
    """)

  /// Leaves a lot to whoever wants it. KEYS: the lots of this process, those of a process that is none, and the processes. ARGV: the lot,
  /// the process that is none, the time, seconds until its entries expire.
  static let giveBack = RedisScript(
    """
    local kind = redis.call('HGET', KEYS[1], ARGV[1])
    if not kind then return 0 end
    redis.call('HDEL', KEYS[1], ARGV[1])
    redis.call('HSET', KEYS[2], ARGV[1], kind)
    redis.call('HSET', KEYS[3], ARGV[2], ARGV[3] .. ' left')
    redis.call('EXPIRE', KEYS[2], ARGV[4])
    return 1
    """)

  /// KEYS: the lots of this process, the records of the lot, and those that were begun. ARGV: the lot, the address. Returns 1 if this
  /// process may tell the view, and 0 if the record is gone.
  static let begin = RedisScript(
    """
    if not redis.call('HGET', KEYS[1], ARGV[1]) then return 0 end
    local record = redis.call('HGET', KEYS[2], ARGV[2])
    if record then
      redis.call('HSET', KEYS[3], ARGV[2], record)
      redis.call('HDEL', KEYS[2], ARGV[2])
      return 1
    end
    if redis.call('HGET', KEYS[3], ARGV[2]) then return 1 end
    return 0
    """)

  /// Ends a lot without records. KEYS: the lots of this process, the records of the lot, and those that were begun. ARGV: the lot.
  /// Returns 1 if nothing was left in it.
  static let end = RedisScript(
    """
    if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then return 0 end
    redis.call('HDEL', KEYS[1], ARGV[1])
    return 1
    """)

  /// Takes records back that another process has taken over. KEYS: the records of the lot. ARGV: the addresses. Returns for each 1 if
  /// the record was still there, and 0 if its view may have been told.
  static let reclaim = RedisScript(
    """
    local found = {}
    for i, address in ipairs(ARGV) do found[i] = redis.call('HDEL', KEYS[1], address) end
    return found
    """)

  /// The process ends in order. KEYS: its sign of life, the processes, its lots. ARGV: the process, the time, the prefix of all keys.
  static let leave = RedisScript(
    """
    redis.call('DEL', KEYS[1])
    local lots = redis.call('HGETALL', KEYS[3])
    for i = 1, #lots, 2 do
      if redis.call('EXISTS', ARGV[3] .. ':records:' .. lots[i], ARGV[3] .. ':begun:' .. lots[i]) == 0 then
        redis.call('HDEL', KEYS[3], lots[i])
      end
    end
    if redis.call('EXISTS', KEYS[3]) == 1 then
      redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. ' left')
    else
      redis.call('HDEL', KEYS[2], ARGV[1])
    end
    return 1
    """)
}
