import Bytes
import ChannelLayers
import GatewayConfig
import JSON
import RedisClient

/// The presence that the processes of a layer write into one Redis server, and the notices about it between them.
///
/// It has its own name space: no channel or group can have a ":" in its name. Under PREFIX:sluice:presence there are
/// `:processes`, a set; `:alive:PROCESS`, a sign of life; `:groups:PROCESS`, the set of its groups; `:group:GROUP`, a hash from
/// process to "SEQUENCE ANONYMOUS"; and `:users:GROUP:PROCESS`, a set. Changes are published to `:DATABASE:GROUP`, because
/// Redis's publish and subscribe does not separate the databases of a server.
struct PresenceRegister: Sendable {
  /// A process without a sign of life for this long is considered dead.
  static let life = Duration.seconds(7)
  /// The time between two signs of life.
  static let interval = Duration.seconds(2)
  /// Entries that are not renewed for this long expire. Processes renew them much more often. Seconds.
  static let expiry = 86_400
  /// The most users that one command writes.
  static let mostAtOnce = 1000

  private let prefix: String
  let channelPrefix: String
  let id: String

  init(prefix: String, database: Int, id: String) {
    self.prefix = Self.namePrefix(prefix)
    channelPrefix = "\(self.prefix):\(database):"
    self.id = id
  }

  /// The prefix of all keys and channels of presence.
  static func namePrefix(_ prefix: String) -> String { "\(prefix):sluice:presence" }

  /// More sessions, changes or processes than there can be. A larger number was not written by Sluice.
  static let believable = 0...(1 << 53)
  static let believableSessions = 0...(1 << 32)

  private var processesKey: String { "\(prefix):processes" }
  private func aliveKey(_ id: String) -> String { "\(prefix):alive:\(id)" }
  private func groupsKey(_ id: String) -> String { "\(prefix):groups:\(id)" }
  private func key(ofGroup group: String) -> String { "\(prefix):group:\(group)" }
  private func usersKey(_ group: String, _ id: String) -> String { "\(prefix):users:\(group):\(id)" }

  func channel(of group: String) -> String { channelPrefix + group }

  // MARK: - Signs of life

  /// KEYS: the processes, the sign of life of this process. ARGV: the process, its life in milliseconds, the prefix of the keys
  /// of signs of life.
  private static let beating = RedisScript(
    """
    local known = redis.call('EXISTS', KEYS[2])
    redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
    redis.call('SADD', KEYS[1], ARGV[1])
    local silent = {}
    for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do
      if redis.call('EXISTS', ARGV[3] .. id) == 0 then silent[#silent + 1] = id end
    end
    return {known, silent}
    """)

  /// - Returns: whether the last sign of life was still there, and the processes that seem to have ended without removing
  ///   their entries.
  func beat(on connection: RedisConnection) async throws(RedisFailure) -> (isKnown: Bool, silent: [String]) {
    let milliseconds = Int(Self.life / .milliseconds(1))
    let reply = try await Self.beating.run(
      keys: [processesKey, aliveKey(id)], [.init(id), .init(milliseconds), .init(aliveKey(""))],
      on: connection)
    guard case .array(let parts) = reply, parts.count == 2, case .array(let silent) = parts[1] else {
      throw .unexpectedReply(to: "EVALSHA")
    }
    return (parts[0] == .integer(1), silent.compactMap(\.text))
  }

  /// KEYS: the sign of life, the groups of the process, the processes. ARGV: the process, "forced" if it may be alive, and the
  /// prefixes of the groups' keys, of the users' keys, and of channels.
  ///
  /// It is one script, so that a process that comes back in between is either seen to be alive, or finds out that it has to
  /// write its entries again; and of several survivors exactly one removes each group, and notifies the others.
  private static let clearing = RedisScript(
    """
    if ARGV[2] == 'forced' then
      redis.call('DEL', KEYS[1])
    elseif redis.call('EXISTS', KEYS[1]) == 1 then
      return 0
    end
    local groups = redis.call('SPOP', KEYS[2], 200)
    for _, group in ipairs(groups) do
      redis.call('DEL', ARGV[4] .. group .. ':' .. ARGV[1])
      if redis.call('HDEL', ARGV[3] .. group, ARGV[1]) == 1 then
        redis.call('PUBLISH', ARGV[5] .. group, '{"process":"' .. ARGV[1] .. '","dead":true}')
      end
    end
    if #groups == 200 then return 1 end
    redis.call('SREM', KEYS[3], ARGV[1])
    return 0
    """)

  /// Removes all entries of a dead process from Redis, and notifies the processes with sessions in its groups.
  func clear(_ id: String, on connection: RedisConnection) async throws(RedisFailure) {
    // In parts, because Redis answers no other client while a script runs.
    while try await clearPart(of: id, on: connection) {}
  }

  /// - Returns: whether there are more entries.
  private func clearPart(of id: String, on connection: RedisConnection) async throws(RedisFailure) -> Bool {
    let reply = try await Self.clearing.run(
      keys: [aliveKey(id), groupsKey(id), processesKey],
      [
        .init(id), .init(id == self.id ? "forced" : ""), .init(key(ofGroup: "")), .init("\(prefix):users:"),
        .init(channelPrefix),
      ], on: connection)
    return reply == .integer(1)
  }

  // MARK: - Changes

  /// KEYS: the group, the users of the process in it, the groups of the process. ARGV: the process, the group, "all", "change"
  /// or "gone", sequence and anonymous sessions, seconds until it expires, the channel, the message, the number of users that
  /// have come, these users, and the users that have gone.
  private static let changing = RedisScript(
    """
    local come = 8 + tonumber(ARGV[8])
    if ARGV[3] ~= 'change' then redis.call('DEL', KEYS[2]) end
    if ARGV[3] == 'gone' then
      redis.call('HDEL', KEYS[1], ARGV[1])
      redis.call('SREM', KEYS[3], ARGV[2])
    else
      redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
      redis.call('SADD', KEYS[3], ARGV[2])
      if come > 8 then redis.call('SADD', KEYS[2], unpack(ARGV, 9, come)) end
      if #ARGV > come then redis.call('SREM', KEYS[2], unpack(ARGV, come + 1)) end
      for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[5]) end
    end
    redis.call('PUBLISH', ARGV[6], ARGV[7])
    return 1
    """)

  /// Writes a change of this process, and notifies the others. At most `mostAtOnce` users.
  func write(_ change: PeerChange, of group: String, on connection: RedisConnection)
    async throws(RedisFailure)
  {
    let arguments: [RESPArgument] = [
      .init(id), .init(group), .init(change.kind.rawValue), .init("\(change.sequence) \(change.anonymous)"),
      .init(Self.expiry), .init(channel(of: group)), .init(change.encoded), .init(change.joined.count),
    ]
    _ = try await Self.changing.run(
      keys: [key(ofGroup: group), usersKey(group, id), groupsKey(id)],
      arguments + (change.joined + change.left).map { .init($0.text) }, on: connection)
  }

  // MARK: - Reading

  /// KEYS: the group. ARGV: the prefix of the users' keys, with the group.
  private static let reading = RedisScript(
    """
    local state = redis.call('HGETALL', KEYS[1])
    local processes = {}
    for i = 1, #state, 2 do
      processes[#processes + 1] = {state[i], state[i + 1], redis.call('SMEMBERS', ARGV[1] .. state[i])}
    end
    return processes
    """)

  /// The states of all processes in the group, including this one.
  func read(_ group: String, on connection: RedisConnection) async throws(RedisFailure) -> [PeerState] {
    let reply = try await Self.reading.run(
      keys: [key(ofGroup: group)], [.init(usersKey(group, ""))], on: connection)
    guard case .array(let processes) = reply else { throw .unexpectedReply(to: "EVALSHA") }
    return processes.compactMap { process in
      guard case .array(let parts) = process, parts.count == 3, let id = parts[0].text,
        let numbers = parts[1].text?.split(separator: " ").compactMap({ Int($0) }), numbers.count == 2,
        Self.believable.contains(numbers[0]), Self.believableSessions.contains(numbers[1]),
        case .array(let users) = parts[2]
      else { return nil }
      return PeerState(
        process: id, sequence: numbers[0], users: users.compactMap(\.text).map { ExactText(text: $0) },
        anonymous: numbers[1])
    }
  }
}

/// A notice about a group: a change, or that a process is dead.
enum PresenceMessage: Sendable, Hashable {
  case change(PeerChange)
  case dead(process: String)

  var process: String {
    switch self {
    case .change(let change): change.process
    case .dead(let process): process
    }
  }

  /// - Returns: nil if the bytes were not written by Sluice.
  init?(_ bytes: [UInt8]) {
    guard let json = try? JSON.parse(bytes.rawBytes, strings: .compared),
      case .string(let process)? = json["process"]
    else { return nil }
    if json["dead"] == .bool(true) {
      self = .dead(process: process)
      return
    }
    guard case .integer(let sequence)? = json["sequence"], case .integer(let previous)? = json["previous"],
      case .integer(let anonymous)? = json["anonymous"],
      PresenceRegister.believable.contains(Int(sequence)),
      PresenceRegister.believable.contains(Int(previous)),
      PresenceRegister.believableSessions.contains(Int(anonymous)),
      case .array(let joined)? = json["joined"], case .array(let left)? = json["left"],
      case .string(let kind)? = json["kind"]
    else { return nil }
    func names(_ list: [JSON]) -> [ExactText] {
      list.compactMap { if case .string(let name) = $0 { ExactText(text: name) } else { nil } }
    }
    self = .change(
      PeerChange(
        PeerChange.Kind(rawValue: kind) ?? .change, process: process, sequence: Int(sequence),
        previous: Int(previous), joined: names(joined), left: names(left), anonymous: Int(anonymous)))
  }
}

extension PeerChange {
  /// The notice as it is sent to the others.
  var encoded: [UInt8] {
    func list(_ names: [ExactText]) -> JSON { .array(names.map { .string($0.text) }) }
    let notice: JSON = [
      "process": .string(process), "kind": .string(kind.rawValue), "sequence": .number(sequence),
      "previous": .number(previous), "anonymous": .number(anonymous), "joined": list(joined),
      "left": list(left),
    ]
    return notice.bytes
  }
}
