import ChannelLayers
import GatewayConfig
import RedisClient

/// Every right that a user of Redis needs for a layer: the commands, and the names of the keys and channels they are used with.
///
/// A test compares the commands with those in the sources of this target and of `RedisClient`.
struct RedisRights: Sendable, Hashable {
  /// A part with its own rights: each of its commands is used with each of its names.
  struct Part: Sendable, Hashable {
    /// Commands for keys and scripts.
    var commands: [String] = []
    /// Patterns of keys, as in an ACL.
    var keys: [String] = []
    /// Patterns of channels, as in an ACL.
    var channels: [String] = []
    /// Patterns of channels for pattern subscriptions. Redis compares them literally with those of an ACL, and Sluice's
    /// patterns contain the random name of a process, so only the right to all channels is enough.
    var subscribedPatterns: [String] = []
  }

  var parts: [Part]

  init(_ layer: RedisLayerConfiguration, _ uses: LayerUses) {
    parts = [Self.events(layer)]
    if uses.history { parts.append(Self.history(layer.prefix)) }
    if uses.presence { parts.append(Self.presence(layer.prefix)) }
    if uses.records { parts.append(Self.records(layer.prefix)) }
    if uses.orders, layer.layout == .pubSub { parts.append(Self.orders(layer.prefix)) }
  }

  // MARK: - What is used for what

  private static func events(_ layer: RedisLayerConfiguration) -> Part {
    switch layer.layout {
    case .core:
      Part(
        commands: [
          "EVALSHA", "EVAL", "EXISTS", "SET", "SADD", "SREM", "SMEMBERS", "EXPIRE", "DEL", "HSET", "HDEL",
          "HGETALL", "ZADD", "ZREM", "ZRANGE", "ZCOUNT", "ZREMRANGEBYSCORE", "BZMPOP", "BZPOPMIN", "ZPOPMIN",
        ],
        keys: ["\(layer.prefix)specific.*", "\(layer.prefix):group:*", "\(layer.prefix):sluice:*"])
    case .pubSub:
      Part(channels: ["\(layer.prefix)__group__*"], subscribedPatterns: ["\(layer.prefix)specific.*"])
    }
  }

  /// In the other layout they are among the rights for events.
  private static func orders(_ prefix: String) -> Part {
    Part(commands: ["HSET", "HDEL", "HGETALL", "EXPIRE"], keys: [RedisHub.ordersKey(prefix)])
  }

  private static func history(_ prefix: String) -> Part {
    let names = [HistoryScript.namePrefix(prefix) + "*"]
    return Part(
      commands: [
        "EVALSHA", "EVAL", "TIME", "EXPIRE", "DEL", "HGET", "HMGET", "HSET", "HDEL", "XADD", "XRANGE", "XDEL",
      ], keys: names, channels: names)
  }

  private static func presence(_ prefix: String) -> Part {
    let names = [PresenceRegister.namePrefix(prefix) + ":*"]
    return Part(
      commands: [
        "EVALSHA", "EVAL", "EXISTS", "SET", "SADD", "SREM", "SMEMBERS", "SPOP", "EXPIRE", "DEL", "HSET",
        "HDEL", "HGETALL",
      ], keys: names, channels: names)
  }

  private static func records(_ prefix: String) -> Part {
    Part(
      commands: [
        "EVALSHA", "EVAL", "EXISTS", "SET", "EXPIRE", "DEL", "HGET", "HSET", "HDEL", "HGETALL", "HSCAN",
      ], keys: [RecordRegister.namePrefix(prefix) + ":*"])
  }

  /// Commands for channels, but for patterns of them.
  private static let ofChannels = ["PUBLISH", "SUBSCRIBE", "UNSUBSCRIBE"]
  /// Commands for every server. AUTH needs no right.
  static let ofConnections = ["PING", "SELECT"]
  /// The commands for taking messages out of queues on a server without BZMPOP, which came with Redis 7.
  static let beforeRedis7 = ["BZPOPMIN", "ZPOPMIN"]

  var commands: Set<String> {
    var commands = Set(Self.ofConnections)
    for part in parts {
      commands.formUnion(part.commands)
      if !part.channels.isEmpty { commands.formUnion(Self.ofChannels) }
      if !part.subscribedPatterns.isEmpty { commands.insert("PSUBSCRIBE") }
    }
    return commands
  }
}

// MARK: - Trying them

extension RedisRights {
  /// The rights that a user lacks.
  struct Missing: Sendable, Hashable {
    var commands: Set<String> = []
    var keys: Set<String> = []
    /// For each pattern: the commands that were refused.
    var channels: [String: Set<String>] = [:]
    var patterns: Set<String> = []

    var isEmpty: Bool { commands.isEmpty && keys.isEmpty && channels.isEmpty && patterns.isEmpty }
  }

  private enum Subject {
    case key(String)
    case channel(String)
    case pattern(String)
  }

  private struct Probe {
    var name: String
    var subject: Subject
    var command: RESPCommand
  }

  /// The rights that the user does not have. Tries every command with every pattern of names, on names that nobody else uses. Most
  /// commands get an argument that Redis checks only after the rights, and then refuses, so nothing is left behind.
  func missing(at connector: RedisConnector) async throws(RedisFailure) -> Missing {
    let commands = try await connector.connect()
    defer { commands.close() }
    let subscriber = try await connector.connect()
    defer { subscriber.close() }
    let scratch = RedisTrial.freshName()
    let unused = try await unusedPops(on: commands, scratch)
    var missing = Missing()
    for (probes, connection) in [
      (probes(but: unused, scratch), commands), (subscriptions(scratch), subscriber),
    ] {
      let replies = try await connection.send(probes.map(\.command))
      for (probe, reply) in zip(probes, replies) {
        guard case .error(let message) = reply, RedisRefusal(message).code == "NOPERM" else { continue }
        switch probe.subject {
        case .key(let pattern) where message.contains("key"): missing.keys.insert(pattern)
        case .channel(let pattern) where message.contains("channel"):
          missing.channels[pattern, default: []].insert(probe.name)
        case .pattern(let pattern) where message.contains("channel"): missing.patterns.insert(pattern)
        case .key, .channel, .pattern: missing.commands.insert(probe.name)
        }
      }
    }
    return missing
  }

  private func probes(but unused: [String], _ scratch: String) -> [Probe] {
    parts.flatMap { part in
      let ofKeys = part.keys.flatMap { key in
        part.commands.filter { !unused.contains($0) }.map {
          Probe(name: $0, subject: .key(key), command: Self.harmless($0, Self.name(key, scratch)))
        }
      }
      let ofChannels = part.channels.map { channel in
        let name = RESPArgument(Self.name(channel, scratch))
        return Probe(name: "PUBLISH", subject: .channel(channel), command: RESPCommand("PUBLISH", name, ""))
      }
      return ofKeys + ofChannels
    }
  }

  /// Those for a connection that only subscribes.
  private func subscriptions(_ scratch: String) -> [Probe] {
    parts.flatMap { part in
      let ofChannels = part.channels.flatMap { channel in
        let name = RESPArgument(Self.name(channel, scratch))
        return ["SUBSCRIBE", "UNSUBSCRIBE"].map {
          Probe(name: $0, subject: .channel(channel), command: RESPCommand($0, name))
        }
      }
      let ofPatterns = part.subscribedPatterns.map { pattern in
        let name = RESPArgument(Self.name(pattern, scratch) + ".*")
        return Probe(name: "PSUBSCRIBE", subject: .pattern(pattern), command: RESPCommand("PSUBSCRIBE", name))
      }
      return ofChannels + ofPatterns
    }
  }

  /// The commands for taking messages out of queues that are not used with this server.
  private func unusedPops(
    on connection: RedisConnection, _ scratch: String
  ) async throws(RedisFailure) -> [String] {
    guard parts.contains(where: { $0.commands.contains("BZMPOP") }), let key = parts.first?.keys.first else {
      return []
    }
    let replies = try await connection.send([Self.harmless("BZMPOP", Self.name(key, scratch))])
    if case .error(let message)? = replies.first, RedisRefusal(message).isUnknownCommand { return ["BZMPOP"] }
    return Self.beforeRedis7
  }

  private static func name(_ pattern: String, _ scratch: String) -> String { pattern.dropLast() + scratch }

  /// The command with arguments that make it either fail for lack of rights, or have no lasting effect.
  private static func harmless(_ command: String, _ name: String) -> RESPCommand {
    let key = RESPArgument(name)
    let none = RESPArgument(String(repeating: "0", count: 40))
    switch command {
    case "EVALSHA": return RESPCommand(command, none, "1", key)
    case "EVAL": return RESPCommand(command, "return 0", "1", key)
    case "TIME": return RESPCommand(command)
    case "SET": return RESPCommand(command, key, "1", "EX", "never")
    case "EXPIRE": return RESPCommand(command, key, "1")
    case "HSET": return RESPCommand(command, key, "field", "1", "without a value")
    case "ZADD": return RESPCommand(command, key, "a number is malformed", "member")
    case "ZRANGE", "ZCOUNT", "ZREMRANGEBYSCORE": return RESPCommand(command, key, "0", "0")
    case "BZMPOP": return RESPCommand(command, "0.01", "1", key, "MIN")
    case "BZPOPMIN": return RESPCommand(command, key, "0.01")
    case "ZPOPMIN", "SPOP": return RESPCommand(command, key, "1")
    case "HSCAN": return RESPCommand(command, key, "0")
    case "XADD": return RESPCommand(command, key, "no id", "field", "1")
    case "XRANGE": return RESPCommand(command, key, "-", "+", "COUNT", "1")
    case "XDEL": return RESPCommand(command, key, "0-1")
    // SREM removes what SADD adds directly before it.
    case "SADD", "SREM", "ZREM", "HDEL", "HGET", "HMGET": return RESPCommand(command, key, "member")
    default: return RESPCommand(command, key)
    }
  }
}

extension RedisRights.Missing {
  /// A sentence without a full stop.
  func sentence(_ user: String) -> String {
    var wants: [String] = []
    if !commands.isEmpty { wants.append("run \(commands.sorted().joined(separator: ", "))") }
    if !keys.isEmpty { wants.append("use the keys \(keys.sorted().joined(separator: ", "))") }
    for (pattern, refused) in channels.sorted(by: { $0.key < $1.key }) {
      let isBoth = refused.contains("PUBLISH") && refused.contains("SUBSCRIBE")
      let verb = isBoth ? "PUBLISH or SUBSCRIBE" : refused.contains("PUBLISH") ? "PUBLISH" : "SUBSCRIBE"
      wants.append("\(verb) to the channels \(pattern)")
    }
    for pattern in patterns.sorted() { wants.append("PSUBSCRIBE to \(pattern)") }
    return "the Redis user \"\(user)\" may not " + wants.joined(separator: ", and may not ")
  }

  /// The command that gives the user the missing rights.
  func remedy(_ user: String) -> String {
    let channelRules = patterns.isEmpty ? channels.keys.sorted() : ["*"]
    let rules =
      keys.sorted().map { "~\($0)" } + channelRules.map { "&\($0)" }
      + commands.sorted().map { "+\($0.lowercased())" }
    return "ACL SETUSER \(user) \(rules.joined(separator: " "))"
  }
}
