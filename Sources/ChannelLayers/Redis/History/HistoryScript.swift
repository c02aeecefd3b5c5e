/// What is done in Redis with the histories of groups, each a hash (`epoch`, `offset`, and who records what others publish) and a
/// stream whose ids are `OFFSET-TIME`, the time in milliseconds.
///
/// One script for each step, so that an event gets its offset, its place and its announcement at once.
enum HistoryScript {
  /// What the names of all keys and channels of histories begin with.
  static func namePrefix(_ prefix: String) -> String { "\(prefix):sluice:history:" }

  /// Runs a script that changes nothing.
  ///
  /// - Throws: where Redis runs no scripts for this user.
  static func tryRights(on connection: RedisConnection) async throws(RedisFailure) {
    _ = try await resign.run(keys: [], [.init("")], on: connection)
  }

  /// Records events, and announces each on the channel that has the name of its stream: `EPOCH OFFSET STAMP PAYLOAD`.
  ///
  /// KEYS: for each event the hash and the stream. ARGV: an epoch to begin with, and for each event the most that are kept, the
  /// seconds that the keys live, the recorder or nothing, the stamp, the payload, and the epoch in its mark or nothing. Returns for
  /// each its position, nothing where somebody else is the recorder, `known` where the mark is of this history, or an error: what
  /// is wrong with the keys of one group is no matter of the others.
  static let record = RedisScript(
    """
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local function record(meta, stream, at)
      local known = redis.pcall('HMGET', meta, 'epoch', 'offset', 'recorder', 'until')
      if known.err then return known end
      local recorder = ARGV[at + 2]
      if recorder ~= '' and (known[3] ~= recorder or tonumber(known[4]) < now) then return '' end
      if known[1] and known[1] == ARGV[at + 5] then return 'known' end
      local epoch, offset = known[1], (tonumber(known[2]) or 0) + 1
      if not epoch then
        redis.call('DEL', stream)
        epoch, offset = ARGV[1], 1
      end
      local function add()
        local id = string.format('%d-%d', offset, now)
        return redis.pcall('XADD', stream, 'MAXLEN', ARGV[at], id, 's', ARGV[at + 3], 'd', ARGV[at + 4])
      end
      local added = add()
      if type(added) == 'table' and added.err then
        if not string.find(added.err, 'equal or smaller', 1, true) then return added end
        redis.call('DEL', stream)
        epoch, offset = ARGV[1], 1
        add()
      end
      redis.call('HSET', meta, 'epoch', epoch, 'offset', string.format('%d', offset))
      redis.call('EXPIRE', meta, ARGV[at + 1])
      redis.call('EXPIRE', stream, ARGV[at + 1])
      local position = string.format('%s %d', epoch, offset)
      redis.call('PUBLISH', stream, position .. ' ' .. ARGV[at + 3] .. ' ' .. ARGV[at + 4])
      return string.format('%s.%d', epoch, offset)
    end
    local positions = {}
    for i = 1, #KEYS / 2 do positions[i] = record(KEYS[2 * i - 1], KEYS[2 * i], 6 * i - 4) end
    return positions
    """)

  /// Makes the caller the recorder where nobody is. In the middle of the scripts below.
  ///
  /// Where the last recorder did not resign, it may have recorded nothing since it last said that it records. A process that hears
  /// the group for less long than that cannot make up for it: the later it came, the longer it waits for another one to take over.
  private static let lease = """
    local function lease(meta, recorder, now, id, time, heard)
      if recorder[1] and recorder[1] ~= id then
        local ends = tonumber(recorder[2])
        local late = (now - heard) - (ends - time)
        if ends + math.min(math.max(2 * late, 0), 4000) >= now then return 0 end
      end
      redis.call('HSET', meta, 'recorder', id, 'until', string.format('%d', now + time))
      return 1
    end
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    """

  /// Reads a history behind what is known of it, and begins it where there is none. One that has gone back in time, as a replica
  /// may that has become the master, gets another epoch.
  ///
  /// KEYS: the hash, the stream. ARGV: an epoch to begin with, the epoch and offset known, the seconds that the keys live, this
  /// process, the milliseconds it may be the recorder, the most bytes, and the milliseconds that it has heard the group. Returns the
  /// epoch, the last offset, the first one kept, the time, whether this process is the recorder, and ids, stamps and payloads in turn.
  static let load = RedisScript(
    lease + """

      local meta, stream = KEYS[1], KEYS[2]
      local known = redis.call('HMGET', meta, 'epoch', 'offset', 'recorder', 'until')
      local epoch, last = known[1], tonumber(known[2]) or 0
      if not epoch then
        redis.call('DEL', stream)
        epoch, last = ARGV[1], 0
        redis.call('HSET', meta, 'epoch', epoch, 'offset', '0')
      elseif epoch == ARGV[2] and last < tonumber(ARGV[3]) then
        epoch = ARGV[1]
        redis.call('HSET', meta, 'epoch', epoch)
      end
      local isRecorder = lease(meta, {known[3], known[4]}, now, ARGV[5], ARGV[6], ARGV[8])
      redis.call('EXPIRE', meta, ARGV[4])
      redis.call('EXPIRE', stream, ARGV[4])
      local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)
      local first = last + 1
      if oldest[1] then first = tonumber(string.match(oldest[1][1], '^%d+')) end
      local from = epoch == ARGV[2] and ARGV[3] + 1 or 0
      local entries, bytes = {}, 0
      repeat
        local part = redis.call('XRANGE', stream, string.format('%d', from), '+', 'COUNT', 50)
        for _, entry in ipairs(part) do
          if bytes > tonumber(ARGV[7]) then break end
          from = tonumber(string.match(entry[1], '^%d+')) + 1
          table.insert(entries, entry[1])
          table.insert(entries, entry[2][2])
          table.insert(entries, entry[2][4])
          bytes = bytes + #entry[2][4] + 64
        end
      until #part < 50 or bytes > tonumber(ARGV[7])
      return {epoch, last, first, string.format('%d', now), isRecorder, entries}
      """)

  /// Looks after many histories: lets them live on, removes what is too old, and finds out who records.
  ///
  /// KEYS: for each the hash and the stream. ARGV: this process, the milliseconds it may be the recorder, and for each the seconds
  /// that the keys live and that an event does, and the milliseconds that this process has heard the group. Returns for each the epoch (nothing where there is none), the last offset, and
  /// whether this process is the recorder.
  static let tend = RedisScript(
    lease + """

      local found = {}
      for i = 1, #KEYS / 2 do
        local meta, stream = KEYS[2 * i - 1], KEYS[2 * i]
        local known = redis.pcall('HMGET', meta, 'epoch', 'offset', 'recorder', 'until')
        local isRecorder = 0
        if known[1] then
          isRecorder = lease(meta, {known[3], known[4]}, now, ARGV[1], ARGV[2], ARGV[3 * i + 2])
          redis.call('EXPIRE', meta, ARGV[3 * i])
          redis.call('EXPIRE', stream, ARGV[3 * i])
          for _ = 1, 20 do
            local oldest = redis.pcall('XRANGE', stream, '-', '+', 'COUNT', 50)
            local old = {}
            for _, entry in ipairs(oldest) do
              if string.match(entry[1], '%d+$') + ARGV[3 * i + 1] * 1000 > now then break end
              table.insert(old, entry[1])
            end
            if old[1] then redis.call('XDEL', stream, unpack(old)) end
            if #old < 50 then break end
          end
        end
        table.insert(found, known[1] or '')
        table.insert(found, tonumber(known[2]) or 0)
        table.insert(found, isRecorder)
      end
      return found
      """)

  /// Gives a history another epoch, unless somebody has done so. KEYS: the hash. ARGV: the epoch that it has, the new one.
  static let renew = RedisScript(
    """
    if redis.call('HGET', KEYS[1], 'epoch') == ARGV[1] then redis.call('HSET', KEYS[1], 'epoch', ARGV[2]) end
    return 1
    """)

  /// Lets somebody else be the recorder. KEYS: the hashes. ARGV: this process.
  static let resign = RedisScript(
    """
    for _, meta in ipairs(KEYS) do
      if redis.call('HGET', meta, 'recorder') == ARGV[1] then redis.call('HDEL', meta, 'recorder', 'until') end
    end
    return 1
    """)
}
