import ChannelLayers
import Foundation
import RedisClient
import Testing

@testable import GatewayConfig
@testable import RedisLayers

extension RedisRights {
  /// Commands for a server that sentinels name, if the user may use them.
  fileprivate static let optional = ["ROLE", "INFO"]

  /// The rules for a user with the fewest sufficient rights, for `ACL SETUSER` of Redis 7.
  fileprivate var rules: [String] {
    let keys = parts.flatMap(\.keys)
    let covered = keys.filter { key in
      !keys.contains { $0 != key && key.hasPrefix($0.dropLast()) }
    }
    let needsAllChannels = parts.contains { !$0.subscribedPatterns.isEmpty }
    let channels = needsAllChannels ? ["*"] : parts.flatMap(\.channels)
    return covered.map { "~\($0)" } + channels.map { "&\($0)" }
      + commands.subtracting(Self.beforeRedis7).sorted().map { "+\($0.lowercased())" }
  }
}

struct RedisRightsTests {
  private static let sources = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Sources")

  private static func layer(_ layout: RedisLayerConfiguration.Layout) -> RedisLayerConfiguration {
    RedisLayerConfiguration(layout: layout)
  }

  private static func rights(
    _ layout: RedisLayerConfiguration.Layout, history: Bool = false, presence: Bool = false,
    records: Bool = false
  ) -> RedisRights {
    RedisRights(layer(layout), LayerUses(history: history, presence: presence, records: records))
  }

  /// Every command that is written in the sources of the layers and of their client, by itself or in a script.
  private static func used() throws -> Set<String> {
    var names: Set<String> = []
    for target in ["RedisClient", "RedisLayers"] {
      let files = FileManager.default.enumerator(
        at: sources.appending(path: target), includingPropertiesForKeys: nil)
      while let file = files?.nextObject() as? URL {
        guard file.pathExtension == "swift", file.lastPathComponent != "RedisRights.swift" else { continue }
        let text = try String(contentsOf: file, encoding: .utf8)
        names.formUnion(text.matches(of: /RESPCommand\(\s*"([A-Z]+)"/).map { String($0.1) })
        names.formUnion(text.matches(of: /redis\.p?call\('([A-Z]+)'/).map { String($0.1) })
      }
    }
    return names
  }

  @Test func `every command that is sent is one that is tried, and none is tried that is not sent`() throws {
    let layouts = [RedisLayerConfiguration.Layout.core, .pubSub]
    let tried = layouts.reduce(into: Set<String>()) { commands, layout in
      commands.formUnion(Self.rights(layout, history: true, presence: true, records: true).commands)
    }
    // AUTH and HELLO need no right, and SENTINEL is said to another server.
    #expect(try Self.used().subtracting(["AUTH", "HELLO", "SENTINEL"]) == tried.union(RedisRights.optional))
  }

  @Test func `the smallest user of each layout`() {
    #expect(
      Self.rights(.core).rules.joined(separator: " ") == """
        ~asgispecific.* ~asgi:group:* ~asgi:sluice:* +bzmpop +del +eval +evalsha +exists +expire +hdel +hgetall \
        +hset +ping +sadd +select +set +smembers +srem +zadd +zcount +zrange +zrem +zremrangebyscore
        """)
    #expect(
      Self.rights(.pubSub).rules.joined(separator: " ")
        == "&* +ping +psubscribe +publish +select +subscribe +unsubscribe")
    #expect(
      Self.rights(.core, history: true, presence: true).rules.joined(separator: " ") == """
        ~asgispecific.* ~asgi:group:* ~asgi:sluice:* &asgi:sluice:history:* &asgi:sluice:presence:* +bzmpop +del \
        +eval +evalsha +exists +expire +hdel +hget +hgetall +hmget +hset +ping +publish +sadd +select +set \
        +smembers +spop +srem +subscribe +time +unsubscribe +xadd +xdel +xrange +zadd +zcount +zrange +zrem \
        +zremrangebyscore
        """)
    #expect(
      Self.rights(.pubSub, history: true, presence: true).rules.joined(separator: " ") == """
        ~asgi:sluice:history:* ~asgi:sluice:presence:* &* +del +eval +evalsha +exists +expire +hdel +hget \
        +hgetall +hmget +hset +ping +psubscribe +publish +sadd +select +set +smembers +spop +srem +subscribe \
        +time +unsubscribe +xadd +xdel +xrange
        """)
  }

  @Test func `a user of views that are told the ends of sessions`() {
    #expect(
      Self.rights(.pubSub, records: true).rules.joined(separator: " ") == """
        ~asgi:sluice:views:* &* +del +eval +evalsha +exists +expire +hdel +hget +hgetall +hscan +hset +ping \
        +psubscribe +publish +select +set +subscribe +unsubscribe
        """)
    let added = Self.rights(.core, records: true).commands.subtracting(Self.rights(.core).commands)
    #expect(added == ["HGET", "HSCAN"])
  }

  @Test func `what is missing is a sentence, and the command that mends it`() {
    var missing = RedisRights.Missing()
    missing.channels = ["asgi:sluice:history:*": ["SUBSCRIBE", "UNSUBSCRIBE"]]
    #expect(
      missing.sentence("gateway")
        == #"the Redis user "gateway" may not SUBSCRIBE to the channels asgi:sluice:history:*"#)
    #expect(missing.remedy("gateway") == "ACL SETUSER gateway &asgi:sluice:history:*")
    missing.commands = ["XADD"]
    missing.keys = ["asgi:group:*"]
    #expect(missing.remedy("gateway") == "ACL SETUSER gateway ~asgi:group:* &asgi:sluice:history:* +xadd")
  }
}
