import RedisClient

/// The scripts for histories in Redis. Each history is a hash with `epoch`, `offset`, and the process that records the events of
/// other programs, and a stream whose ids are `OFFSET-TIME`, with the time in milliseconds.
///
/// Each step is one script, so that an event gets its offset, is stored and is announced in one step.
enum HistoryScript {
  /// The prefix of all keys and channels of histories.
  static func namePrefix(_ prefix: String) -> String { "\(prefix):sluice:history:" }

  /// Runs a script that changes nothing, and throws if this user may not run scripts in Redis.
  static func tryRights(on connection: RedisConnection) async throws(RedisFailure) {
    _ = try await resign.run(keys: [], [.init("")], on: connection)
  }

  /// Records events, and announces each on the channel with the name of its stream: `EPOCH OFFSET STAMP PAYLOAD`.
  ///
  /// KEYS: for each event the hash and the stream. ARGV: an epoch for new histories, and for each event the most kept events, the
  /// lifetime of the keys in seconds, the recorder or nothing, the stamp, the payload, and the epoch in its mark or nothing. Returns
  /// for each event its position; nothing if another process is the recorder; `known` if the mark is of this history; or an error.
  /// An error with the keys of one group does not affect the others.
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

  /// A part of the scripts below: makes the caller the recorder of a group that has none.
  ///
  /// A recorder that did not resign may have recorded nothing since it last renewed its lease. A process that has heard the group for a
  /// shorter time cannot make up for it: the later it came, the longer it waits for another process to take over. Processes ask once a
  /// second, so it waits for longer than that in any case.
  private static let lease = """
    local function lease(meta, recorder, now, id, time, heard)
      if recorder[1] and recorder[1] ~= id then
        local ends = tonumber(recorder[2])
        local late = (now - heard) - (ends - time)
        local wait = 0
        if late > 0 then wait = math.min(1500 + 2 * late, 4000) end
        if ends + wait >= now then return 0 end
      end
      redis.call('HSET', meta, 'recorder', id, 'until', string.format('%d', now + time))
      return 1
    end
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    """

  /// Reads the events after the known position, and begins a history if there is none. If the known position is after the last
  /// event, Redis has lost events, as a replica may have that became the master; the history then gets a new epoch.
  ///
  /// KEYS: the hash, the stream. ARGV: an epoch for a new history, the known epoch and offset, the lifetime of the keys in seconds,
  /// this process, the length of its lease in milliseconds, the most bytes, and for how many milliseconds this process has heard the
  /// group. Returns the epoch, the last offset, the first kept offset, the time, whether this process is the recorder, and the id,
  /// stamp and payload of each event.
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

  /// Maintains many histories: extends their lifetime, removes old events, and renews or takes the leases.
  ///
  /// KEYS: for each history the hash and the stream. ARGV: this process, the length of its lease in milliseconds, and for each
  /// history the lifetime of its keys and of its events, in seconds, and for how many milliseconds this process has heard the group.
  /// Returns for each history the epoch (nothing if there is none), the last offset, and whether this process is the recorder.
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

  /// Gives a history a new epoch, unless another process has done so. KEYS: the hash. ARGV: the present epoch, the new one.
  static let renew = RedisScript(
    """
    if redis.call('HGET', KEYS[1], 'epoch') == ARGV[1] then redis.call('HSET', KEYS[1], 'epoch', ARGV[2]) end
    return 1
    """)

  /// Releases leases, so that another process can become the recorder. KEYS: the hashes. ARGV: this process.
  static let resign = RedisScript(
    """
    for _, meta in ipairs(KEYS) do
      if redis.call('HGET', meta, 'recorder') == ARGV[1] then redis.call('HDEL', meta, 'recorder', 'until') end
    end
    return 1
    """)
}
